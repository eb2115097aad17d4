import { tailOf } from '../log-tail.ts';
import type { Bus } from '../messages/bus.ts';
import { logReplySchema, type ProcessReport } from '../messages/control.ts';
import { WIRE_VERSION } from '../messages/events.ts';
import type { ProcessSpec } from '../messages/process-spec.ts';
import type { Cause } from '../messages/result.ts';
import type { Subjects } from '../messages/subjects.ts';
import { describe } from '../why/describe.ts';

const TAIL_LINES = 50;

/** Why a process counts as failed. Without a look at its log: everybody is to stop before there is time for that. */
export const causeOfProcess = (spec: ProcessSpec, report: ProcessReport): Cause => ({
  summary: `${describe(spec.id, spec.role, spec.node)} ${failureOf(report)}`,
  node: spec.node,
  process: spec.id,
  exitCode: report.exitCode,
  signal: report.signal,
  logFile: spec.logFile,
});

/** The last lines of a process's log: from the file, or from its agent. Empty when neither can be had. */
export async function logTailOf(spec: ProcessSpec, bus: Bus, subjects: Subjects): Promise<string[]> {
  const text = await tailOf(spec.logFile, TAIL_LINES).then(
    (piece) => piece.text,
    () => tailFromAgent(spec, bus, subjects),
  );
  return text.split('\n').filter((line, index, all) => line !== '' || index < all.length - 1);
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
