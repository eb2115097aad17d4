import type { SampleValue, TelemetrySamples, TelemetrySeries } from '../../../messages/events/telemetry.ts';
import { type Engines, type Figure, figureOf } from './engine-figures.ts';

/** A series that the screen shows, and its value. */
interface Known {
  readonly process: string;
  readonly figure: Figure;
  value: number | null;
}

interface Node {
  readonly incarnation: string;
  readonly series: Map<number, Known>;
}

/** Reads the agents' telemetry into the figures of engines. It keeps only the series that are shown. */
export class TelemetryReader {
  readonly #engines: Engines;
  readonly #nodes = new Map<string, Node>();

  constructor(engines: Engines) {
    this.#engines = engines;
  }

  takeSeries({ node, incarnation, series }: Pick<TelemetrySeries, 'node' | 'incarnation' | 'series'>): void {
    const known = this.#nodeOf(node, incarnation);
    for (const { id, process, name, value } of series) {
      const figure = process === undefined ? undefined : figureOf(name);
      if (process === undefined || figure === undefined) continue;
      known.series.set(id, { process, figure, value: numberOf(value) });
    }
  }

  takeSamples({
    node,
    incarnation,
    at,
    samples,
  }: Pick<TelemetrySamples, 'node' | 'incarnation' | 'at' | 'samples'>): void {
    const { series } = this.#nodeOf(node, incarnation);
    if (series.size === 0) return;
    for (const [first, ...values] of samples)
      for (const [index, value] of values.entries()) {
        const known = series.get(first + index);
        if (known) known.value = numberOf(value);
      }
    const sums = new Map<string, Partial<Record<Figure, number>>>();
    for (const { process, figure, value } of series.values()) {
      if (value === null) continue;
      const sum = sums.get(process) ?? {};
      sums.set(process, sum);
      sum[figure] = (sum[figure] ?? 0) + value;
    }
    for (const [process, values] of sums) this.#engines.take(process, values, at);
  }

  /** A new agent on a node gives its series other ids. */
  #nodeOf(name: string, incarnation: string): Node {
    const known = this.#nodes.get(name);
    if (known?.incarnation === incarnation) return known;
    const fresh = { incarnation, series: new Map<number, Known>() };
    this.#nodes.set(name, fresh);
    return fresh;
  }
}

const numberOf = (value: SampleValue): number | null => (typeof value === 'number' ? value : null);
