import type { PointTransition, SrtEvent } from '../../messages/events/events.ts';
import type { JobState } from '../../messages/job-directory/job-files.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import { EXIT } from '../../os/errors.ts';
import { type KnownKill, killsIn } from '../workers/kills.ts';
import { type KnownRestart, restartsIn } from '../workers/worker-restarts.ts';

/** The point that was running when its coordinator was killed. */
export interface InterruptedPoint {
  readonly ordinal: number;
  /** From 1. */
  readonly attempt: number;
  /** null when the point had not begun. */
  readonly startedAt: Date | null;
  /** null when the benchmark had not begun. */
  readonly benchmarkStartedAt: Date | null;
  /** Why the point had failed, when it was being cleaned up. */
  readonly cause: Cause | null;
}

/** The remaining work of the previous run. */
export interface RemainingWork {
  /** Ordinals of the points that are to run, the interrupted one first. */
  readonly left: readonly number[];
  readonly running: InterruptedPoint | null;
  /** Exit code of a run that had ended or was being stopped; null: still open. */
  readonly exitCode: number | null;
  /** ms from start to end of each point with a valid result. */
  readonly durations: readonly number[];
  /** Workers that started again, and those that wait for it. */
  readonly restarts: readonly KnownRestart[];
  /** Kills of the experiment so far. */
  readonly kills: readonly KnownKill[];
}

/** The exit code of a run that was ending with open points: it had failed (no further point could run), or was stopped. */
function endOf({ points, cause }: JobState): number | null {
  if (points.every(({ status }) => status !== null)) return null;
  return cause === null ? EXIT.terminated : EXIT.failed;
}

/** The remaining work, from state.json and the events of the previous run. Pure. */
export function remainingWork(state: JobState, events: readonly SrtEvent[]): RemainingWork {
  const open = state.points.filter(({ status }) => status === null);
  const current = open.find(({ state: at }) => at !== 'planned');
  const running = current ? interruptedPoint(current, events) : null;
  const wasStopped =
    state.points.some(({ status }) => status === 'interrupted') || isStopping(running, events);
  const isEnding = state.sweep === 'cleaning' || state.sweep === 'finishing' || state.sweep === 'finished';
  const others = open.map(({ ordinal }) => ordinal).filter((ordinal) => ordinal !== running?.ordinal);
  return {
    restarts: restartsIn(events),
    kills: killsIn(events),
    left: isEnding || wasStopped ? [] : [...(running ? [running.ordinal] : []), ...others],
    running: isEnding || wasStopped ? null : running,
    exitCode: state.exitCode ?? (wasStopped ? EXIT.terminated : isEnding ? endOf(state) : null),
    durations: events.flatMap((event) =>
      event.kind === 'point.result' && event.result.status === 'done'
        ? [Date.parse(event.result.finishedAt) - Date.parse(event.result.startedAt)]
        : [],
    ),
  };
}

function interruptedPoint(
  { ordinal, attempts = 1 }: JobState['points'][number],
  events: readonly SrtEvent[],
): InterruptedPoint {
  const attempt = lastAttempt(ordinal, events);
  const at = (found: PointTransition | undefined): Date | null => (found ? new Date(found.at) : null);
  return {
    ordinal,
    attempt: attempts,
    startedAt: at(attempt[0]),
    // Of several coordinators the first one saw the benchmark begin.
    benchmarkStartedAt: at(attempt.find(({ to }) => to === 'benchmarking')),
    cause: attempt.findLast(({ to }) => to === 'cleaning')?.cause ?? null,
  };
}

/** true when the point was being cleaned up, or had been, without a failure. */
function isStopping(running: InterruptedPoint | null, events: readonly SrtEvent[]): boolean {
  if (running === null || running.cause !== null) return false;
  const last = lastAttempt(running.ordinal, events).at(-1)?.to;
  return last === 'cleaning' || last === 'interrupted';
}

/** Transitions since the last result of the point. An attempt that ended without a result is run through its end again. */
function lastAttempt(ordinal: number, events: readonly SrtEvent[]): PointTransition[] {
  const own = events.filter(
    (event) =>
      (event.kind === 'point.transition' || event.kind === 'point.result') && event.ordinal === ordinal,
  );
  return own
    .slice(own.findLastIndex(({ kind }) => kind === 'point.result') + 1)
    .filter((event) => event.kind === 'point.transition');
}
