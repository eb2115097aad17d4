/** A clock in ms, and how to be called at one of its times. Tests have one of their own. */
export interface Clock {
  now(): number;
  /** Calls back at (or soon after) `at`; returns how to forget it. */
  at(at: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  at(at, run) {
    const timer = setTimeout(run, Math.max(0, at - performance.now()));
    return () => clearTimeout(timer);
  },
};

/** A clock whose alarms do nothing any more once `stands` says so: what waits for them waits for ever. */
export const hangingClock = (clock: Clock, stands: () => boolean): Clock => ({
  now: () => clock.now(),
  at: (at, run) =>
    clock.at(at, () => {
      if (!stands()) run();
    }),
});

const LOOK_AGAIN_MS = 50;

/** A clock whose alarms wait as long as `pauses` says so. */
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

/** From this process's clock to the machine's, which its processes share whatever becomes of the time of day. */
const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Further apart, two processes are not on the same machine, or one has slept. */
const FURTHEST_MS = 1_000;

export const toMachineTime = (at: number): number => at + offset;

/** A time that another process gave as machine time, on this process's clock; now, where that makes no sense. */
export function fromMachineTime(at: number, now = performance.now()): number {
  const late = now - (at - offset);
  return late < 0 || late > FURTHEST_MS ? now : now - late;
}
