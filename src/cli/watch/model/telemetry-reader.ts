import type { SampleValue, TelemetrySamples, TelemetrySeries } from '../../../messages/events/telemetry.ts';
import { type Engines, type Figure, figureOf } from './engine-figures.ts';
import { type GpuField, type Gpus, gpuFieldOf } from './gpus.ts';

/** A series that the screen shows, and its value. */
interface Known {
  readonly process: string;
  readonly figure: Figure;
  value: number | null;
}

interface Node {
  readonly incarnation: string;
  readonly series: Map<number, Known>;
  readonly gpus: Map<number, { readonly gpu: string; readonly field: GpuField }>;
}

/** Reads the agents' telemetry into the figures of engines and GPUs. It keeps only the series that are shown. */
export class TelemetryReader {
  readonly #engines: Engines;
  readonly #gpus: Gpus;
  readonly #nodes = new Map<string, Node>();

  constructor(engines: Engines, gpus: Gpus) {
    this.#engines = engines;
    this.#gpus = gpus;
  }

  takeSeries({ node, incarnation, series }: Pick<TelemetrySeries, 'node' | 'incarnation' | 'series'>): void {
    const known = this.#nodeOf(node, incarnation);
    for (const { id, process, name, value, labels } of series) {
      const field = process === undefined ? gpuFieldOf(name) : undefined;
      if (field !== undefined && labels.gpu !== undefined) {
        known.gpus.set(id, { gpu: labels.gpu, field });
        this.#gpus.set(node, labels.gpu, field, numberOf(value));
      }
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
    const { series, gpus } = this.#nodeOf(node, incarnation);
    if (series.size + gpus.size === 0) return;
    for (const [first, ...values] of samples)
      for (const [index, value] of values.entries()) {
        const known = series.get(first + index);
        if (known) known.value = numberOf(value);
        const gpu = gpus.get(first + index);
        if (gpu) this.#gpus.set(node, gpu.gpu, gpu.field, numberOf(value));
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
    const fresh: Node = { incarnation, series: new Map(), gpus: new Map() };
    this.#nodes.set(name, fresh);
    return fresh;
  }
}

const numberOf = (value: SampleValue): number | null => (typeof value === 'number' ? value : null);
