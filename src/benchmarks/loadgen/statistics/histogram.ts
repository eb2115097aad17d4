import type { Distribution } from '../../../messages/job-directory/serving-result.ts';

/**
 * Buckets of each power of two. The middle of a bucket is at most 1/2,048 (0.05 %) away from every value in it.
 */
const PER_OCTAVE = 1_024;
/** Octaves of all normal floating-point numbers. */
const OCTAVES = 2_048;

/** The sum of a histogram in a form that crosses threads and JSON. */
export interface PlainHistogram {
  readonly count: number;
  readonly mean: number;
  /** Sum of the squared distances from the mean. */
  readonly squares: number;
  readonly min: number;
  readonly max: number;
  /** Values of 0 and below. */
  readonly zeros: number;
  /** Number of a bucket and values in it, in turn, ascending. */
  readonly buckets: readonly number[];
}

/** The percentiles of a distribution by their names, as shares. */
export const SHARES = {
  p1: 0.01,
  p5: 0.05,
  p10: 0.1,
  p25: 0.25,
  median: 0.5,
  p75: 0.75,
  p90: 0.9,
  p95: 0.95,
  p99: 0.99,
  p999: 0.999,
} as const;
export type Percentile = keyof typeof SHARES;

/** Values that a percentile needs so that not the most extreme one decides it alone: 100 for p1 and p99. */
const neededFor = (share: number): number => Math.round(1 / Math.min(share, 1 - share));

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer);

/**
 * Counts values in buckets whose width grows with the value (log-linear, as HDR histograms), because a large
 * run has tens of millions of gaps between tokens. Count, mean, spread and extremes are exact; percentiles are
 * within 0.05 %. Histograms of several threads or clients merge into that of all their values.
 */
export class Histogram {
  readonly #octaves: (Uint32Array | undefined)[] = new Array<Uint32Array | undefined>(OCTAVES);
  #count = 0;
  #mean = 0;
  #squares = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #zeros = 0;

  static from(plain: PlainHistogram): Histogram {
    const histogram = new Histogram();
    histogram.merge(plain);
    return histogram;
  }

  get count(): number {
    return this.#count;
  }

  /** Throws for what is no finite number: it would spoil all figures without a trace. */
  add(value: number): void {
    if (!Number.isFinite(value)) throw new RangeError(`${value} cannot be measured`);
    this.#count++;
    const distance = value - this.#mean;
    this.#mean += distance / this.#count;
    this.#squares += distance * (value - this.#mean);
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    word[0] = value;
    // The upper half of a double (both processors that Node runs on are little-endian): sign, 11 bits of
    // exponent, 20 bits of mantissa. The first ten of those are the bucket.
    const high = halves[1] ?? 0;
    const octave = high >>> 20;
    if (octave === 0 || octave >= OCTAVES) {
      this.#zeros++;
      return;
    }
    const buckets = this.#bucketsOf(octave);
    const bucket = (high >>> 10) & (PER_OCTAVE - 1);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }

  merge(other: PlainHistogram): void {
    if (other.count === 0) return;
    if (this.#count === 0) this.#mean = other.mean;
    const count = this.#count + other.count;
    const distance = other.mean - this.#mean;
    this.#squares += other.squares + (distance * distance * this.#count * other.count) / count;
    this.#mean += (distance * other.count) / count;
    this.#count = count;
    this.#min = Math.min(this.#min, other.min);
    this.#max = Math.max(this.#max, other.max);
    this.#zeros += other.zeros;
    for (let at = 0; at < other.buckets.length; at += 2) {
      const [number, values] = [other.buckets[at] ?? 0, other.buckets[at + 1] ?? 0];
      const buckets = this.#bucketsOf(Math.floor(number / PER_OCTAVE));
      buckets[number % PER_OCTAVE] = (buckets[number % PER_OCTAVE] ?? 0) + values;
    }
  }

  plain(): PlainHistogram {
    const buckets: number[] = [];
    for (const [octave, counts] of this.#octaves.entries())
      counts?.forEach((values, at) => {
        if (values > 0) buckets.push(octave * PER_OCTAVE + at, values);
      });
    return {
      count: this.#count,
      mean: this.#mean,
      squares: this.#squares,
      min: this.#count === 0 ? 0 : this.#min,
      max: this.#count === 0 ? 0 : this.#max,
      zeros: this.#zeros,
      buckets,
    };
  }

  /** Percentiles by linear interpolation between the closest ranks (as numpy's default). */
  distribution(): Distribution {
    const { count, mean, squares, min, max } = this.plain();
    const names = Object.keys(SHARES) as Percentile[];
    const ranks = names.map((name) => SHARES[name] * Math.max(count - 1, 0));
    const valueAt = this.#valuesAt(ranks.flatMap((rank) => [Math.floor(rank), Math.ceil(rank)]));
    const percentiles = Object.fromEntries(
      names.map((name, at) => {
        const rank = ranks[at] ?? 0;
        const [below, above] = [valueAt.get(Math.floor(rank)) ?? 0, valueAt.get(Math.ceil(rank)) ?? 0];
        return [name, below + (above - below) * (rank - Math.floor(rank))];
      }),
    ) as Record<Percentile, number>;
    return {
      mean,
      std: Math.sqrt(Math.max(squares, 0) / Math.max(count, 1)),
      min,
      max,
      count,
      ...percentiles,
      tooFew: names.filter((name) => count < neededFor(SHARES[name])),
    };
  }

  #bucketsOf(octave: number): Uint32Array {
    const there = this.#octaves[octave];
    if (there) return there;
    const made = new Uint32Array(PER_OCTAVE);
    this.#octaves[octave] = made;
    return made;
  }

  /** The values at ranks, from 0, by rank. */
  #valuesAt(given: readonly number[]): Map<number, number> {
    const ranks = [...new Set(given)].sort((a, b) => a - b);
    const found = new Map<number, number>();
    if (this.#count === 0) return found;
    let before = this.#zeros;
    const take = (value: number): void => {
      for (let rank = ranks[found.size]; rank !== undefined && rank < before; rank = ranks[found.size])
        found.set(rank, Math.min(Math.max(value, this.#min), this.#max));
    };
    take(0);
    for (const [octave, counts] of this.#octaves.entries())
      counts?.forEach((values, at) => {
        if (values === 0) return;
        before += values;
        take(2 ** (octave - 1_023) * (1 + (at + 0.5) / PER_OCTAVE));
      });
    return found;
  }
}
