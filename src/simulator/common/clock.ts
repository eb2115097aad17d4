/** A clock in ms that calls back at a given time. Tests bring their own. */
export interface Clock {
  now(): number;
  /** Calls `run` at or soon after `at`; returns a function that cancels the call. */
  at(at: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  at(at, run) {
    const timer = setTimeout(run, Math.max(0, at - performance.now()));
    return () => clearTimeout(timer);
  },
};

/**
 * A clock that drops its alarms once `stands` returns true, so a caller that waits for one waits for ever.
 */
export const hangingClock = (clock: Clock, stands: () => boolean): Clock => ({
  now: () => clock.now(),
  at: (at, run) =>
    clock.at(at, () => {
      if (!stands()) run();
    }),
});

const LOOK_AGAIN_MS = 50;

/** A clock that delays its alarms while `pauses` returns true. */
export const pausingClock = (clock: Clock, pauses: () => boolean): Clock => ({
  now: () => clock.now(),
  at(at, run) {
    const due = (): void => {
      if (pauses()) forget = clock.at(clock.now() + LOOK_AGAIN_MS, due);
      else run();
    };
    let forget = clock.at(at, due);
    return () => forget();
  },
});

/**
 * Offset from this process's clock to the machine's monotonic clock, which all processes share and no change
 * of the time of day affects.
 */
const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** With a larger difference the two processes are on different machines, or one machine has slept. */
const FURTHEST_MS = 1_000;

export const toMachineTime = (at: number): number => at + offset;

/**
 * Converts a machine time from another process to this process's clock; returns now when the time is
 * implausible.
 */
export function fromMachineTime(at: number, now = performance.now()): number {
  const late = now - (at - offset);
  return late < 0 || late > FURTHEST_MS ? now : now - late;
}
