const SERIES = ['completed', 'failed', 'inputTokens', 'outputTokens'] as const;
type Series = (typeof SERIES)[number];

export interface PlainTimeCounts {
  readonly begin: number;
  readonly width: number;
  readonly counts: Readonly<Record<Series, readonly number[]>>;
}

/**
 * Counts by time, in intervals of equal width from `begin` on. When there would be more than `most` intervals,
 * neighbours are joined, so that a long run needs no more memory than a short one. Times in ms of one clock.
 */
export class TimeCounts {
  readonly #begin: number;
  readonly #most: number;
  #width: number;
  #counts: Record<Series, number[]> = { completed: [], failed: [], inputTokens: [], outputTokens: [] };

  constructor(begin: number, width: number, most: number) {
    this.#begin = begin;
    this.#width = width;
    this.#most = most;
  }

  add(series: Series, atMs: number, count: number): void {
    let at = this.#intervalOf(atMs);
    while (at >= this.#most) {
      this.#join();
      at = this.#intervalOf(atMs);
    }
    const list = this.#counts[series];
    while (list.length <= at) list.push(0);
    list[at] = (list[at] ?? 0) + count;
  }

  /** Throws unless the other's begin is the same, and its width this one's or the double, half, … of it. */
  merge(other: PlainTimeCounts): void {
    if (other.begin !== this.#begin) throw new RangeError('counts by time have different begins');
    while (this.#width < other.width) this.#join();
    for (const series of SERIES)
      for (const [at, count] of other.counts[series].entries())
        this.add(series, this.#begin + (at + 0.5) * other.width, count);
  }

  plain(): PlainTimeCounts {
    return { begin: this.#begin, width: this.#width, counts: this.#counts };
  }

  /** Count between two times; an interval that lies only partly between them counts in proportion. */
  between(series: Series, from: number, to: number): number {
    let sum = 0;
    for (const [at, count] of this.#counts[series].entries()) {
      const begin = this.#begin + at * this.#width;
      const common = Math.min(begin + this.#width, to) - Math.max(begin, from);
      if (common > 0) sum += (count * common) / this.#width;
    }
    return sum;
  }

  #intervalOf(atMs: number): number {
    return Math.max(Math.floor((atMs - this.#begin) / this.#width), 0);
  }

  #join(): void {
    this.#width *= 2;
    for (const series of SERIES) {
      const list = this.#counts[series];
      this.#counts[series] = Array.from(
        { length: Math.ceil(list.length / 2) },
        (_, at) => (list[2 * at] ?? 0) + (list[2 * at + 1] ?? 0),
      );
    }
  }
}
