import type { Bus } from '../../messages/bus/bus.ts';
import { logReplySchema, type ProcessReport } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { describe } from '../../why/describe.ts';
import { evidenceOf, KEPT_LINES, lastLines } from '../../why/evidence.ts';

/** How many lines an agent is asked for. Some of them concern single requests, and not the end of the process. */
const ASKED_LINES = 500;

/** Why processes failed. */
export class ProcessCauses {
  readonly #bus: Pick<Bus, 'request'>;
  readonly #subjects: Subjects;

  constructor({ bus, subjects }: { readonly bus: Pick<Bus, 'request'>; readonly subjects: Subjects }) {
    this.#bus = bus;
    this.#subjects = subjects;
  }

  /** Does not read the process's log, because all processes must be stopped first. */
  causeOf(spec: ProcessSpec, report: ProcessReport): Cause {
    return {
      summary: `${describe(spec.id, spec.role, spec.node)} ${failureOf(report)}`,
      node: spec.node,
      process: spec.id,
      exitCode: report.exitCode,
      signal: report.signal,
      logFile: spec.logFile,
    };
  }

  /** The last lines of a process's log, from the file or from its agent. Empty when both have no line. */
  async logTailOf(spec: ProcessSpec, agent: string): Promise<string[]> {
    const text = await evidenceOf({ logFile: spec.logFile }, KEPT_LINES);
    return lastLines(text === '' ? await this.#tailFromAgent(spec.id, agent) : text);
  }

  async #tailFromAgent(id: string, agent: string): Promise<string> {
    try {
      const request = { v: WIRE_VERSION, lines: ASKED_LINES };
      const subject = this.#subjects.log(agent, id);
      const reply = await this.#bus.request(subject, request, logReplySchema, 1_500);
      return reply.ok ? reply.text : '';
    } catch {
      return '';
    }
  }
}

const failureOf = (report: ProcessReport): string =>
  report.state === 'stopped' ? `was stopped: ${report.why}` : `failed: ${report.why}`;
