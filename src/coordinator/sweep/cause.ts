import type { Bus } from '../../messages/bus/bus.ts';
import { logReplySchema, type ProcessReport } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { describe } from '../../why/describe.ts';
import { evidenceOf, KEPT_LINES, lastLines } from '../../why/evidence.ts';

/** So many lines an agent is asked for: some of them are about single requests and say nothing. */
const ASKED_LINES = 500;

/** Why a process counts as failed. Without a look at its log: everybody is to stop before there is time for that. */
export const causeOfProcess = (spec: ProcessSpec, report: ProcessReport): Cause => ({
  summary: `${describe(spec.id, spec.role, spec.node)} ${failureOf(report)}`,
  node: spec.node,
  process: spec.id,
  exitCode: report.exitCode,
  signal: report.signal,
  logFile: spec.logFile,
});

/** The last lines of a process's log: from the file, or from the agent that runs it. Empty when neither can be had. */
export async function logTailOf(
  spec: ProcessSpec,
  agent: string,
  bus: Bus,
  subjects: Subjects,
): Promise<string[]> {
  const text = await evidenceOf({ logFile: spec.logFile }, KEPT_LINES);
  return lastLines(text === '' ? await tailFromAgent(spec.id, agent, bus, subjects) : text);
}

const failureOf = (report: ProcessReport): string =>
  report.state === 'stopped' ? `was stopped: ${report.why}` : `failed: ${report.why}`;

async function tailFromAgent(id: string, agent: string, bus: Bus, subjects: Subjects): Promise<string> {
  try {
    const request = { v: WIRE_VERSION, lines: ASKED_LINES };
    const reply = await bus.request(subjects.log(agent, id), request, logReplySchema, 1_500);
    return reply.ok ? reply.text : '';
  } catch {
    return '';
  }
}
