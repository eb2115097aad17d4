/** More requests than this are thinned out, evenly. */
const MOST = 32_768;
/** Blocks of each third. */
const BLOCKS = 10;
/** Requests of a block, at least: fewer have no steady median. */
const LEAST = 3;

/** A smaller difference is that of a client and a server that warm up, ms. */
const SMALLEST_MS = { ttft: 5, tpot: 0.5 };

/** Measurements of a request, by its number in the run. */
export type InOrder = readonly [index: number, ttftMs: number, tpotMs: number];

export interface PlainDrift {
  readonly stride: number;
  readonly requests: readonly InOrder[];
}

/** Keeps the times of requests in the order in which they were sent, to see whether they changed during a run. */
export class Drift {
  #stride = 1;
  #requests: InOrder[] = [];

  add(one: InOrder): void {
    if (one[0] % this.#stride !== 0) return;
    this.#requests.push(one);
    if (this.#requests.length > MOST) this.#thin(2 * this.#stride);
  }

  merge(other: PlainDrift): void {
    if (other.stride > this.#stride) this.#thin(other.stride);
    for (const one of other.requests) this.add(one);
  }

  plain(): PlainDrift {
    return { stride: this.#stride, requests: this.#requests };
  }

  /**
   * How much slower the first third of the requests was than the last one (0.25: a quarter), when that is
   * no chance, else 0; null when there are too few requests to tell. The first `concurrency` requests
   * arrive all at once at idle engines, and are left out.
   */
  slowStart(concurrency: number): number | null {
    const ordered = this.#requests.filter(([index]) => index >= concurrency).sort((a, b) => a[0] - b[0]);
    if (ordered.length < 3 * BLOCKS * LEAST) return null;
    const of = (at: 1 | 2, smallestMs: number): number =>
      slowStartOf(ordered.map((one) => one[at]).filter(Number.isFinite), smallestMs);
    return Math.max(of(1, SMALLEST_MS.ttft), of(2, SMALLEST_MS.tpot));
  }

  #thin(stride: number): void {
    this.#stride = stride;
    this.#requests = this.#requests.filter(([index]) => index % stride === 0);
  }
}

/**
 * Compares medians of blocks of successive requests, because neighbours have much in common (a batch, a
 * moment of the machine) and single requests may be very slow. All ten blocks of the first third have to be
 * slower than all ten of the last: of independent blocks, one run in 184,756 is so by chance.
 */
function slowStartOf(values: readonly number[], smallestMs: number): number {
  const third = Math.floor(values.length / 3);
  const [first, last] = [values.slice(0, third), values.slice(-third)].map(medians) as [number[], number[]];
  if (first.length === 0 || Math.min(...first) <= Math.max(...last)) return 0;
  const [early, late] = [median(first), median(last)];
  return late > 0 && early - late >= smallestMs ? early / late - 1 : 0;
}

function medians(values: readonly number[]): number[] {
  const size = Math.floor(values.length / BLOCKS);
  if (size === 0) return [];
  return Array.from({ length: BLOCKS }, (_, at) => median(values.slice(at * size, (at + 1) * size)));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
