/** Before the allocation ends, for stopping what runs and writing what came out, ms. */
export const WIND_UP_MS = 90_000;

/** The share of points that take no longer than what is reckoned with. */
const QUANTILE = 0.95;

/** How long the next point is reckoned to take, from those so far (of a few: the longest); null with none to go by. */
export function expectedMs(durationsMs: readonly number[]): number | null {
  const sorted = [...durationsMs].sort((a, b) => a - b);
  return sorted[Math.ceil(QUANTILE * sorted.length) - 1] ?? null;
}

/**
 * Whether a point that begins at `now` is over, and cleaned up, when the allocation ends. Without points to go by it is
 * tried as long as there is any time.
 */
export function canFinish(input: {
  readonly durationsMs: readonly number[];
  /** ms since the epoch; null: the allocation has no end. */
  readonly endsAt: number | null;
  readonly now: number;
}): boolean {
  const { durationsMs, endsAt, now } = input;
  if (endsAt === null) return true;
  return now + (expectedMs(durationsMs) ?? 1) <= endsAt - WIND_UP_MS;
}
