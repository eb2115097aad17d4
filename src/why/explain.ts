import { atATime } from '../at-a-time.ts';
import { tailOf } from '../log-tail.ts';
import type { PointTransition, ProcessTransition, SrtEvent } from '../messages/events.ts';
import type { Cause } from '../messages/result.ts';
import { describe } from './describe.ts';
import { type Diagnosis, diagnose, type LostNode, type Witness } from './diagnose.ts';
import { errorLine } from './error-line.ts';
import type { Signature } from './signatures.ts';

/** Lines of a log in which its error is looked for, and those that are kept with the cause. */
const SEARCHED_LINES = 600;
const KEPT_LINES = 50;
/** Logs that are read at the same time. */
const PARALLEL = 16;

/**
 * The cause of a point's failure after a look at all that happened to it: at what the coordinator noticed first, at the
 * ends of the others, at their logs. `told` is what it looked like at first, and stays where there is nothing better.
 */
export async function explain(
  events: readonly SrtEvent[],
  ordinal: number,
  told: Cause,
  signatures: readonly Signature[],
): Promise<Cause> {
  const span = spanOf(events, ordinal);
  const found = diagnose(await witnessesIn(span, signatures), lostIn(span));
  return found ? causeFrom(found, told) : withError(told, signatures);
}

/** What the words of a cause themselves say, where there is no process to ask: a step of Slurm, a refused desired state. */
export function withError(told: Cause, signatures: readonly Signature[]): Cause {
  const line = errorLine([told.summary, ...(told.logTail ?? [])].join('\n'), signatures);
  if (line?.signature == null) return told;
  const { id, says, advice } = line.signature;
  return { ...told, error: line.text, signature: id, says, advice };
}

/** The events of a point: from the end of the one before it to its own. */
function spanOf(events: readonly SrtEvent[], ordinal: number): SrtEvent[] {
  const isOf = (event: SrtEvent): event is PointTransition =>
    event.kind === 'point.transition' && event.ordinal === ordinal;
  const from = events.findLastIndex((event) => isOf(event) && event.from === null);
  const ended = events.findLastIndex((event) => isOf(event) && event.to === 'failed');
  // What kept running since an earlier point has its states there.
  const before = events.slice(0, Math.max(from, 0)).filter((event) => event.kind === 'process.transition');
  const standing = new Map(before.map((event) => [`${event.node} ${event.process}`, event]));
  return [
    ...[...standing.values()].filter(({ to }) => to !== 'stopped' && to !== 'failed'),
    ...events.slice(Math.max(from, 0), ended < 0 ? undefined : ended + 1),
  ];
}

async function witnessesIn(span: readonly SrtEvent[], signatures: readonly Signature[]): Promise<Witness[]> {
  const last = new Map<string, ProcessTransition>();
  for (const event of span)
    if (event.kind === 'process.transition') last.set(`${event.node} ${event.process}`, event);
  const heard = [...last.values()].filter(({ from, to }) => from !== null || to === 'failed');
  const witnesses: Witness[] = [];
  await atATime(PARALLEL, heard, async (event) => {
    const { process, role, node, logFile, logFrom, why, exitCode, signal, to, at } = event;
    const inLog = errorLine(await tail(logFile, SEARCHED_LINES, logFrom), signatures);
    // What its agent saw may say more than its log does, as of who was killed for lack of memory.
    const seen = errorLine(why, signatures);
    const line = inLog?.weight !== 'origin' && seen?.weight === 'origin' ? seen : inLog;
    // Whoever has an agent's key may say any time, or none.
    const failedAt = to === 'failed' ? Date.parse(at) || 0 : null;
    witnesses.push({ process, role, node, logFile, logFrom, failedAt, why, exitCode, signal, line });
  });
  return witnesses;
}

const lostIn = (span: readonly SrtEvent[]): LostNode[] =>
  span.flatMap((event) =>
    event.kind === 'agent.transition' && event.to === 'lost'
      ? [{ node: event.node, at: Date.parse(event.at) || 0, why: event.why }]
      : [],
  );

async function causeFrom(found: Diagnosis, told: Cause): Promise<Cause> {
  const { node, process, role, logFile, logFrom, why, line, followed } = found;
  const known = line?.signature;
  const same = process !== null && told.process === process;
  const summary =
    process === null || role === null
      ? `the agent of ${node} is lost: ${why}`
      : `${describe(process, role, node ?? '?')} ${why === 'was still running' ? 'has an error' : `failed: ${why}`}`;
  const text = logFile === null ? '' : await tail(logFile, KEPT_LINES, logFrom);
  return {
    ...(same ? told : {}),
    summary: same ? told.summary : summary,
    ...(node === null ? {} : { node }),
    ...(process === null ? {} : { process }),
    exitCode: found.exitCode,
    signal: found.signal,
    ...(logFile === null ? {} : { logFile }),
    // A log that cannot be read from here may have been told by its agent.
    ...(text === '' ? {} : { logTail: text.trimEnd().split('\n') }),
    ...(line && line.weight !== 'last' ? { error: line.text } : {}),
    ...(known ? { signature: known.id, says: known.says, advice: known.advice } : {}),
    ...(followed.length > 0 ? { followed: [...followed] } : {}),
  };
}

const tail = (file: string, lines: number, from: number | undefined): Promise<string> =>
  tailOf(file, lines, from).then(
    ({ text }) => text,
    () => '',
  );
