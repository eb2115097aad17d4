import type { WindowPower } from '../../messages/events/telemetry.ts';
import type { NewSeries } from './series-book.ts';

/** Samples that are kept: 14 hours at one a second. */
const MOST_SAMPLES = 50_000;
/** A window has no power when a smaller share of it was sampled. */
const LEAST_COVERED = 0.9;
/** A value counts until the next one, and no longer than this many intervals. */
const HOLD_INTERVALS = 5;

/** Names of series that are a GPU's power in watts; the label `gpu` names the GPU. */
const GPU_POWER = new Set(['gpu_power_watts', 'DCGM_FI_DEV_POWER_USAGE']);
const NODE = 'node';

/** The power of a node and of each of its GPUs in the last hours, for the windows that the coordinator asks for. */
export class PowerHistory {
  readonly #intervalMs: number;
  readonly #names: ReadonlySet<string>;
  /** Series by what they are the power of. */
  readonly #sources = new Map<string, number>();
  #times: number[] = [];
  #watts = new Map<string, number[]>();

  /** @param names further names of series that are a GPU's power */
  constructor(intervalMs: number, names: readonly string[] = []) {
    this.#intervalMs = intervalMs;
    this.#names = new Set([...GPU_POWER, ...names]);
  }

  /** A series has begun. */
  begun(id: number, { name, labels }: NewSeries): void {
    if (name === 'node_power_watts') this.#sources.set(NODE, id);
    // Parts of a GPU have a power of their own, and the same index.
    else if (this.#names.has(name) && labels.gpu !== undefined && !labels.GPU_I_ID)
      this.#sources.set(`gpu ${labels.gpu}`, id);
  }

  /** Takes the values of this moment. */
  take(at: number, wattsOf: (id: number) => number | undefined): void {
    if (this.#sources.size === 0) return;
    this.#times.push(at);
    for (const [source, id] of this.#sources) {
      let watts = this.#watts.get(source);
      if (!watts) {
        watts = new Array<number>(this.#times.length - 1).fill(Number.NaN);
        this.#watts.set(source, watts);
      }
      watts.push(wattsOf(id) ?? Number.NaN);
    }
    if (this.#times.length <= MOST_SAMPLES * 1.1) return;
    const drop = this.#times.length - MOST_SAMPLES;
    this.#times = this.#times.slice(drop);
    this.#watts = new Map([...this.#watts].map(([source, watts]) => [source, watts.slice(drop)]));
  }

  /** The power from one time to another, ms since 1970; what was not sampled for the whole time is left out. */
  between(from: number, to: number): WindowPower {
    const gpus: WindowPower['gpus'] = [];
    let node: WindowPower['node'] = null;
    for (const [source, watts] of this.#watts) {
      const power = this.#powerOf(watts, from, to);
      if (power === undefined) continue;
      if (source === NODE) node = power;
      else gpus.push({ gpu: Number(source.slice('gpu '.length)), ...power });
    }
    return { gpus: gpus.sort((a, b) => a.gpu - b.gpu), node };
  }

  #powerOf(watts: readonly number[], from: number, to: number): { meanW: number; peakW: number } | undefined {
    const holdMs = this.#intervalMs * HOLD_INTERVALS;
    let [wattMs, coveredMs, peakW] = [0, 0, 0];
    for (let at = firstAfter(this.#times, from - holdMs); at < this.#times.length; at++) {
      const [time = 0, next = Number.POSITIVE_INFINITY] = [this.#times[at], this.#times[at + 1]];
      if (time > to) break;
      const value = watts[at] ?? Number.NaN;
      const ms = Math.min(next, time + holdMs, to) - Math.max(time, from);
      if (Number.isNaN(value) || ms <= 0) continue;
      wattMs += value * ms;
      coveredMs += ms;
      peakW = Math.max(peakW, value);
    }
    if (to <= from || coveredMs < (to - from) * LEAST_COVERED) return undefined;
    return { meanW: wattMs / coveredMs, peakW };
  }
}

/** Index of the first time that is `limit` or later; times ascend. */
function firstAfter(times: readonly number[], limit: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
