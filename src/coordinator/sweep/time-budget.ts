/** Before the allocation ends, for stopping what runs and writing what came out, ms; of a short one an eighth. */
const WIND_UP = { most: 90_000, least: 8_000, share: 1 / 8 } as const;

/** The share of points that take no longer than what is reckoned with. */
const QUANTILE = 0.95;

/** How long the next point is reckoned to take, from those so far (of a few: the longest); null with none to go by. */
export function expectedMs(durationsMs: readonly number[]): number | null {
  const sorted = [...durationsMs].sort((a, b) => a - b);
  return sorted[Math.ceil(QUANTILE * sorted.length) - 1] ?? null;
}

export const windUpMs = (allocatedMs: number): number =>
  Math.min(WIND_UP.most, Math.max(WIND_UP.least, allocatedMs * WIND_UP.share));

/**
 * Whether a point that begins at `now` is over when what runs has to be wound up. Without points to go by it is tried
 * as long as there is any time.
 */
export function canFinish(input: {
  readonly durationsMs: readonly number[];
  /** When that is, ms since the epoch; null: the allocation has no end. */
  readonly until: number | null;
  readonly now: number;
}): boolean {
  const { durationsMs, until, now } = input;
  return until === null || now + (expectedMs(durationsMs) ?? 1) <= until;
}

/** The time that the job has. Clocks are the caller's. */
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

  /** Why a point is not begun; null when it is. */
  refuses(ordinal: number, now: number): string | null {
    if (canFinish({ durationsMs: this.#durationsMs, until: this.#until, now })) return null;
    const seconds = Math.round((expectedMs(this.#durationsMs) ?? 0) / 1_000);
    return `point ${ordinal} is not started: ${this.#end()}, and a point takes ${seconds} s`;
  }

  /** Why what runs has to end now; null while it has not. */
  isOver(now: number): string | null {
    return this.#until !== null && now >= this.#until ? `${this.#end()}: what runs is stopped` : null;
  }

  #end(): string {
    return `the allocation ends at ${new Date(this.#endsAt ?? 0).toISOString()}`;
  }
}
