/** Time before the end of the allocation for stopping processes and writing results, ms; an eighth of a short allocation. */
const WIND_UP = { most: 90_000, least: 8_000, share: 1 / 8 } as const;

/** The share of points that take no longer than expected. */
const QUANTILE = 0.95;

/**
 * How long the next point is expected to take, judged by the points so far (with few points: by the longest); null
 * without any.
 */
export function expectedMs(durationsMs: readonly number[]): number | null {
  const sorted = [...durationsMs].sort((a, b) => a - b);
  return sorted[Math.ceil(QUANTILE * sorted.length) - 1] ?? null;
}

export const windUpMs = (allocatedMs: number): number =>
  Math.min(WIND_UP.most, Math.max(WIND_UP.least, allocatedMs * WIND_UP.share));

/**
 * true when a point that begins at `now` is expected to end in time. Without a point to compare with, true as long as
 * time is left.
 */
export function canFinish(input: {
  readonly durationsMs: readonly number[];
  /** When the point has to be over, ms since the epoch; null: the allocation has no end. */
  readonly until: number | null;
  readonly now: number;
}): boolean {
  const { durationsMs, until, now } = input;
  return until === null || now + (expectedMs(durationsMs) ?? 1) <= until;
}

/** The time that the job has. The caller gives the time of day. */
export class TimeBudget {
  readonly #durationsMs: number[];
  readonly #endsAt: number | null;
  readonly #until: number | null;

  /** `endsAt` and `now` in ms since the epoch; null: no end. */
  constructor(endsAt: number | null, now: number, durationsMs: readonly number[] = []) {
    this.#durationsMs = [...durationsMs];
    this.#endsAt = endsAt;
    this.#until = endsAt === null ? null : endsAt - windUpMs(endsAt - now);
  }

  /** A point with a valid result. */
  took(ms: number): void {
    this.#durationsMs.push(ms);
  }

  /** Why a point is not started; null: it may start. */
  refuses(ordinal: number, now: number): string | null {
    if (canFinish({ durationsMs: this.#durationsMs, until: this.#until, now })) return null;
    const seconds = Math.round((expectedMs(this.#durationsMs) ?? 0) / 1_000);
    return `point ${ordinal} is not started: ${this.#end()}, and a point takes ${seconds} s`;
  }

  /** Why the run has to stop now; null: it may go on. */
  isOver(now: number): string | null {
    return this.#until !== null && now >= this.#until ? `${this.#end()}: what runs is stopped` : null;
  }

  #end(): string {
    return `the allocation ends at ${new Date(this.#endsAt ?? 0).toISOString()}`;
  }
}
