/**
 * A wall clock that is read once and then advanced by the machine's monotonic clock. Differences between its
 * times are right even when the wall clock is set in between.
 */
export interface SteadyClock {
  /**
   * From the monotonic clock to ms since the epoch. A process on the same machine with this offset has the
   * same clock.
   */
  readonly offsetMs: number;
  /** ms since the epoch. */
  now(): number;
  date(): Date;
}

/** Advances while a process is stopped, and is the same in all processes of a machine. */
const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export function createSteadyClock(offsetMs: number = Date.now() - monotonicMs()): SteadyClock {
  const now = (): number => monotonicMs() + offsetMs;
  return { offsetMs, now, date: () => new Date(now()) };
}
