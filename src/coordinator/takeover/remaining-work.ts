import type { PointTransition, SrtEvent } from '../../messages/events/events.ts';
import type { JobState } from '../../messages/job-directory/job-files.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import { EXIT } from '../../os/errors.ts';

/** The point that was running when its coordinator was killed. */
export interface InterruptedPoint {
  readonly ordinal: number;
  /** From 1. */
  readonly attempt: number;
  /** null when it has not said so. */
  readonly startedAt: Date | null;
  /** null when it was not that far. */
  readonly benchmarkStartedAt: Date | null;
  /** It had failed, and was being cleaned up. */
  readonly cause: Cause | null;
}

/** Where a job goes on. */
export interface RemainingWork {
  /** Ordinals of the points that are to run, the interrupted one first. */
  readonly left: readonly number[];
  readonly running: InterruptedPoint | null;
  /** Of a run that has ended or was being stopped; null: it is still to be seen. */
  readonly exitCode: number | null;
  /** ms from begin to end of each point with a valid result. */
  readonly durations: readonly number[];
}

/** Points that have no turn any more: something was gone, or a point failed and was the last (abort); or it was stopped. */
function endOf({ points, cause }: JobState): number | null {
  if (points.every(({ status }) => status !== null)) return null;
  return cause === null ? EXIT.terminated : EXIT.failed;
}

/** Where the next coordinator goes on, from what the last one left. Pure. */
export function remainingWork(state: JobState, events: readonly SrtEvent[]): RemainingWork {
  const open = state.points.filter(({ status }) => status === null);
  const current = open.find(({ state: at }) => at !== 'planned');
  const running = current ? interruptedPoint(current, events) : null;
  const wasStopped =
    state.points.some(({ status }) => status === 'interrupted') || isStopping(running, events);
  const isEnding = state.sweep === 'cleaning' || state.sweep === 'finishing' || state.sweep === 'finished';
  const others = open.map(({ ordinal }) => ordinal).filter((ordinal) => ordinal !== running?.ordinal);
  return {
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
    // Of several coordinators the first one that came so far saw it begin.
    benchmarkStartedAt: at(attempt.find(({ to }) => to === 'benchmarking')),
    cause: attempt.findLast(({ to }) => to === 'cleaning')?.cause ?? null,
  };
}

/** It was being cleaned up, or was, and of no failure. */
function isStopping(running: InterruptedPoint | null, events: readonly SrtEvent[]): boolean {
  if (running === null || running.cause !== null) return false;
  const last = lastAttempt(running.ordinal, events).at(-1)?.to;
  return last === 'cleaning' || last === 'interrupted';
}

/** Transitions since the result of the point's last attempt: one that ended without it is told and written once more. */
function lastAttempt(ordinal: number, events: readonly SrtEvent[]): PointTransition[] {
  const own = events.filter(
    (event) =>
      (event.kind === 'point.transition' || event.kind === 'point.result') && event.ordinal === ordinal,
  );
  return own
    .slice(own.findLastIndex(({ kind }) => kind === 'point.result') + 1)
    .filter((event) => event.kind === 'point.transition');
}
