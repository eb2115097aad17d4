import type {
  AgentTransition,
  PointTransition,
  ProcessTransition,
  SrtEvent,
} from '../messages/events/events.ts';
import type { Cause } from '../messages/job-directory/result.ts';
import { atATime } from '../os/at-a-time.ts';
import { describe } from './describe.ts';
import { type Diagnosis, diagnose, type LostNode, type Witness } from './diagnose.ts';
import { type ErrorLine, errorLine } from './error-line.ts';
import { evidenceOf, type LogSpan, lastLines } from './evidence.ts';
import { natsWitness } from './nats-witness.ts';
import type { Signature } from './signatures.ts';
import { timesOf } from './timeline.ts';

/** Logs that are read at the same time. */
const PARALLEL = 16;

/**
 * Finds the cause of a point's failure. It examines what the coordinator noticed first (`told`), the ends of
 * the other processes, their logs, and nats-server's log beside `eventsFile`. Returns `told` when it finds
 * nothing better.
 */
export async function explain(
  events: readonly SrtEvent[],
  ordinal: number,
  told: Cause,
  signatures: readonly Signature[],
  eventsFile?: string,
): Promise<Cause> {
  // A cause that was certain before any process started, such as a port in use; no log adds to it.
  if (told.signature !== undefined && told.process === undefined) return told;
  const span = spanOf(events, ordinal);
  const times = timesOf(events, span.filter(isOfTime));
  const witnesses = await witnessesIn(span, told, signatures, times);
  const since = Date.parse(span.find(({ kind }) => kind === 'point.transition')?.at ?? '') || 0;
  const nats = eventsFile && (await natsWitness(eventsFile, since, witnesses, signatures));
  const found = diagnose(nats ? [...witnesses, nats] : witnesses, lostOf(told, lostIn(span, times)));
  if (!found) return withError(told, signatures);
  if (found.process === null && found.why === told.summary) {
    const { followed } = found;
    return withError({ ...told, ...(followed.length > 0 ? { followed: [...followed] } : {}) }, signatures);
  }
  const cause = await causeFrom(found, told);
  // A lost node has no log, but its launcher may have reported the reason, such as a missing image.
  return found.process === null ? withError(cause, signatures) : cause;
}

/** A summary quotes a launcher's output in parentheses, with its lines separated by slashes. */
const PIECES = /\s\/\s|[()]|; see /;

/**
 * Looks for a known error in the cause's own text, when no process explains it: a Slurm step, a refused
 * desired state.
 */
export function withError(told: Cause, signatures: readonly Signature[]): Cause {
  if (told.signature !== undefined) return told;
  const words = told.summary.split(PIECES);
  const line = errorLine([...words, ...(told.logTail ?? [])].join('\n'), signatures);
  if (line?.signature == null) return told;
  const { id, says, advice } = line.signature;
  return { ...told, error: line.text, signature: id, says, advice };
}

/** Whether the time of the event matters. */
const isOfTime = (event: SrtEvent): boolean =>
  event.kind === 'agent.transition' ||
  (event.kind === 'process.transition' && ['failed', 'stopping', 'degraded'].includes(event.to));

type Times = ReadonlyMap<SrtEvent, number>;

/** The events of a point: from the end of the previous point to its own end. */
function spanOf(events: readonly SrtEvent[], ordinal: number): SrtEvent[] {
  const isOf = (event: SrtEvent): event is PointTransition =>
    event.kind === 'point.transition' && event.ordinal === ordinal;
  const from = events.findLastIndex((event) => isOf(event) && event.from === null);
  const ended = events.findLastIndex((event) => isOf(event) && event.to === 'failed');
  // Processes that kept running from an earlier point have their transitions before this span.
  const before = events.slice(0, Math.max(from, 0)).filter((event) => event.kind === 'process.transition');
  const standing = new Map(before.map((event) => [`${event.node} ${event.process}`, event]));
  return [
    ...[...standing.values()].filter(({ to }) => to !== 'stopped' && to !== 'failed'),
    ...events.slice(Math.max(from, 0), ended < 0 ? undefined : ended + 1),
  ];
}

async function witnessesIn(
  span: readonly SrtEvent[],
  told: Cause,
  signatures: readonly Signature[],
  times: Times,
): Promise<Witness[]> {
  const all = new Map<string, ProcessTransition[]>();
  for (const event of span) {
    if (event.kind !== 'process.transition') continue;
    const key = `${event.node} ${event.process}`;
    const known = all.get(key);
    // A later start of the same name is another process.
    if (known && event.from !== null) known.push(event);
    else all.set(key, [event]);
  }
  const heard = [...all.values()].filter(
    ([first, ...more]) => more.length > 0 || first?.from !== null || first.to === 'failed',
  );
  const witnesses: Witness[] = [];
  await atATime(PARALLEL, heard, async (transitions) => {
    const last = transitions.at(-1);
    if (!last || isDone(last)) return;
    const { process, role, node, logFile, logFrom, logTo, why, exitCode, signal, to } = last;
    const inLog = errorLine(await evidenceIn(last, told), signatures);
    // The agent may have observed more than the log says, for example an OOM kill.
    const seen = errorLine(why, signatures);
    const line = saysMore(seen, inLog) ? seen : inLog;
    const failedAt = to === 'failed' ? failedAtIn(transitions, times) : null;
    const unwell = unwellIn(transitions, times);
    witnesses.push({
      ...{ process, role, node, logFile, logFrom, logTo, failedAt, why, unwell, exitCode, signal, line },
    });
  });
  return witnesses;
}

/** A step that ended well explains no failure, whatever it wrote. */
const isDone = ({ role, exitCode }: ProcessTransition): boolean => role === 'step' && exitCode === 0;

/** Whether the agent's reason explains more than the log: a signal alone says less than an error. */
function saysMore(seen: ErrorLine | undefined, inLog: ErrorLine | undefined): boolean {
  if (seen?.weight !== 'origin' || inLog?.weight === 'origin') return false;
  return !seen.signature?.general || inLog?.weight !== 'error';
}

/** When the log cannot be read from here, the cause may have its last lines from the agent. */
async function evidenceIn(span: LogSpan & { readonly process: string }, told: Cause): Promise<string> {
  const text = await evidenceOf(span);
  return text === '' && told.process === span.process ? (told.logTail ?? []).join('\n') : text;
}

/**
 * When its failure was noticed. The agent first stops a hung or unhealthy process, so its end may come later
 * than the failures that follow from it, such as a benchmark without answers.
 */
function failedAtIn(transitions: readonly ProcessTransition[], times: Times): number {
  const [ending, end] = transitions.slice(-2);
  const noticed = end?.from === 'stopping' && ending?.to === 'stopping' ? ending : transitions.at(-1);
  return (noticed && times.get(noticed)) ?? 0;
}

/** When it became degraded and stayed so. */
function unwellIn(transitions: readonly ProcessTransition[], times: Times): Witness['unwell'] {
  const states = transitions.filter(({ to }) => to === 'ready' || to === 'degraded');
  const last = states.at(-1);
  return last?.to === 'degraded' ? { at: times.get(last) ?? 0, why: last.why } : undefined;
}

/** Lost nodes, each from the start of its silence. */
function lostIn(span: readonly SrtEvent[], times: Times): LostNode[] {
  const silent = new Map<string, AgentTransition>();
  const lost: LostNode[] = [];
  for (const event of span) {
    if (event.kind !== 'agent.transition') continue;
    const { node, to, why } = event;
    if (to === 'suspect') silent.set(node, event);
    else if (to === 'lost') {
      lost.push({ node, at: times.get(silent.get(node) ?? event) ?? 0, why, certain: true });
      silent.delete(node);
    } else silent.delete(node);
  }
  for (const event of silent.values()) {
    const { node, why } = event;
    lost.push({ node, at: times.get(event) ?? 0, why, certain: false });
  }
  return lost;
}

/** Adds the node of an agent that was lost while no coordinator was there, so that no event says when. */
function lostOf({ process, node, summary }: Cause, seen: readonly LostNode[]): readonly LostNode[] {
  if (process !== undefined || node === undefined || seen.some((each) => each.node === node)) return seen;
  return [...seen, { node, at: null, why: summary, certain: true }];
}

async function causeFrom(found: Diagnosis, told: Cause): Promise<Cause> {
  const { node, process, role, logFile, logFrom, logTo, why, line, followed } = found;
  const known = line?.signature;
  const same = process !== null && told.process === process;
  const summary =
    process === null || role === null
      ? `the agent of ${node} is lost: ${why}`
      : `${describe(process, role, node)} ${summaryOf(found)}`;
  const text = logFile === null ? '' : await evidenceOf({ logFile, logFrom, logTo });
  return {
    ...(same ? told : {}),
    summary: same ? told.summary : summary,
    ...(node === null ? {} : { node }),
    ...(process === null ? {} : { process }),
    exitCode: found.exitCode,
    signal: found.signal,
    ...(logFile === null ? {} : { logFile }),
    ...(text === '' ? {} : { logTail: lastLines(text) }),
    ...(line && line.weight !== 'last' ? { error: line.text } : {}),
    ...(known ? { signature: known.id, says: known.says, advice: known.advice } : {}),
    ...(followed.length > 0 ? { followed: [...followed] } : {}),
  };
}

function summaryOf({ failed, line, why }: Diagnosis): string {
  if (failed) return `failed: ${why}`;
  return line && line.weight !== 'last' ? 'has an error' : `does not answer: ${why}`;
}
