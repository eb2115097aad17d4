/**
 * A wall clock that is read once and counted on by the machine's monotonic one: what is measured between two of its times
 * is right also when somebody sets the clock in between.
 */
export interface SteadyClock {
  /** From the monotonic clock to ms since the epoch: a process of the same machine that is told it has the same clock. */
  readonly offsetMs: number;
  /** ms since the epoch. */
  now(): number;
  date(): Date;
}

/** Goes on while a process is stopped, and is the same in all processes of a machine. */
const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export function createSteadyClock(offsetMs: number = Date.now() - monotonicMs()): SteadyClock {
  const now = (): number => monotonicMs() + offsetMs;
  return { offsetMs, now, date: () => new Date(now()) };
}
