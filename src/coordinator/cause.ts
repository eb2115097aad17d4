import { tailOf } from '../log-tail.ts';
import type { Bus } from '../messages/bus.ts';
import { logReplySchema, type ProcessReport } from '../messages/control.ts';
import { WIRE_VERSION } from '../messages/events.ts';
import type { ProcessSpec } from '../messages/process-spec.ts';
import type { Cause } from '../messages/result.ts';
import type { Subjects } from '../messages/subjects.ts';
import { describe } from '../why/describe.ts';

const TAIL_LINES = 50;

/** The cause of a process's failure, with the last lines of its log: from the file, or from its agent. */
export async function causeOfProcess(
  spec: ProcessSpec,
  report: ProcessReport,
  bus: Bus,
  subjects: Subjects,
): Promise<Cause> {
  const text = await tailOf(spec.logFile, TAIL_LINES).then(
    (piece) => piece.text,
    () => tailFromAgent(spec, bus, subjects),
  );
  return {
    summary: `${describe(spec.id, spec.role, spec.node)} ${failureOf(report)}`,
    node: spec.node,
    process: spec.id,
    exitCode: report.exitCode,
    signal: report.signal,
    logFile: spec.logFile,
    logTail: text.split('\n').filter((line, index, all) => line !== '' || index < all.length - 1),
  };
}

const failureOf = (report: ProcessReport): string =>
  report.state === 'stopped' ? `was stopped: ${report.why}` : `failed: ${report.why}`;

async function tailFromAgent(spec: ProcessSpec, bus: Bus, subjects: Subjects): Promise<string> {
  try {
    const request = { v: WIRE_VERSION, lines: TAIL_LINES };
    const reply = await bus.request(subjects.log(spec.node, spec.id), request, logReplySchema, 1_500);
    return reply.ok ? reply.text : '';
  } catch {
    return '';
  }
}
