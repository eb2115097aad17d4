import type { SampleValue, Series, SeriesType } from '../../messages/events/telemetry.ts';

type Described = Omit<Series, 'id' | 'value'>;

/** A series at its first appearance. */
export interface NewSeries {
  readonly process?: string;
  readonly name: string;
  readonly type: SeriesType;
  readonly labels: Readonly<Record<string, string>>;
}

/** What has changed since the last call of `take`. */
export interface Changes {
  /** New series, with their values. */
  readonly series: Series[];
  /** Runs of changed values of the others, as in TelemetrySamples. */
  readonly samples: [number, ...SampleValue[]][];
}

/** All series of an agent with their latest values, and which of them have changed. */
export class SeriesBook {
  readonly #known = new Map<number, Described>();
  readonly #values = new Map<number, SampleValue>();
  readonly #changed = new Set<number>();
  #fresh: number[] = [];
  #next = 0;
  readonly #onBegun: ((id: number, series: NewSeries) => void) | undefined;

  /** @param onBegun called with each new series */
  constructor(onBegun?: (id: number, series: NewSeries) => void) {
    this.#onBegun = onBegun;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Returns the new series' id. It has no value yet, and is not sent before it has one. */
  add(series: NewSeries): number {
    const { process, name, type, labels } = series;
    const id = this.#next++;
    this.#known.set(id, { ...(process === undefined ? {} : { process }), name, type, labels: { ...labels } });
    this.#fresh.push(id);
    this.#onBegun?.(id, series);
    return id;
  }

  set(id: number, value: number): void {
    const next = sampleOf(value);
    if (this.#values.get(id) === next) return;
    this.#values.set(id, next);
    this.#changed.add(id);
  }

  /** The series has ended; its id is not used again. */
  end(id: number): void {
    if (!this.#known.delete(id)) return;
    this.#values.delete(id);
    if (this.#fresh.includes(id)) this.#fresh = this.#fresh.filter((each) => each !== id);
    else this.#changed.add(id);
  }

  take(): Changes {
    const series = this.describe(this.#fresh);
    for (const id of this.#fresh) this.#changed.delete(id);
    this.#fresh = this.#fresh.filter((id) => !this.#values.has(id));
    const ids = Uint32Array.from(this.#changed).sort();
    this.#changed.clear();
    const samples: Changes['samples'] = [];
    let last = Number.NaN;
    for (const id of ids) {
      const value = this.#values.get(id) ?? null;
      if (id === last + 1) samples.at(-1)?.push(value);
      else samples.push([id, value]);
      last = id;
    }
    return { series, samples };
  }

  /** The value of a series; undefined: it has none, or is no finite number. */
  valueOf(id: number): number | undefined {
    const value = this.#values.get(id);
    return typeof value === 'number' ? value : undefined;
  }

  /** Ids of all series that have a value. */
  ids(): number[] {
    return [...this.#values.keys()];
  }

  describe(ids: readonly number[]): Series[] {
    return ids.flatMap((id) => {
      const known = this.#known.get(id);
      const value = this.#values.get(id);
      return known === undefined || value === undefined ? [] : [{ id, ...known, value }];
    });
  }
}

export function sampleOf(value: number): SampleValue {
  if (Number.isFinite(value)) return value;
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '+Inf' : '-Inf';
}
