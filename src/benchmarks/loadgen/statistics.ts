import type { Distribution } from '../../messages/job-directory/result.ts';

const NONE: Distribution = { mean: 0, median: 0, p90: 0, p95: 0, p99: 0, std: 0, min: 0, max: 0 };

/**
 * A growing list of numbers, eight bytes each, because a large run has tens of millions of gaps between
 * tokens.
 */
export class Samples {
  #values = new Float64Array(1_024);
  #count = 0;

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = value;
  }

  distribution(): Distribution {
    return distributionOf(this.#values.subarray(0, this.#count));
  }
}

/** Percentile by linear interpolation between the closest ranks (as numpy's default). `sorted` is ascending. */
export function percentile(sorted: ArrayLike<number>, p: number): number {
  if (sorted.length === 0) return 0;
  const rank = (p / 100) * (sorted.length - 1);
  const below = sorted[Math.floor(rank)] ?? 0;
  const above = sorted[Math.ceil(rank)] ?? below;
  return below + (above - below) * (rank - Math.floor(rank));
}

/** Mean, spread (of the population, as numpy's default) and percentiles; zeros without values. */
export function distributionOf(values: ArrayLike<number>): Distribution {
  const sorted = new Float64Array(values).sort();
  if (sorted.length === 0) return NONE;
  let sum = 0;
  for (const value of sorted) sum += value;
  const mean = sum / sorted.length;
  let squares = 0;
  for (const value of sorted) squares += (value - mean) ** 2;
  return {
    mean,
    median: percentile(sorted, 50),
    p90: percentile(sorted, 90),
    p95: percentile(sorted, 95),
    p99: percentile(sorted, 99),
    std: Math.sqrt(squares / sorted.length),
    min: sorted[0] ?? 0,
    max: sorted.at(-1) ?? 0,
  };
}
