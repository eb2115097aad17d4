import type { TelemetrySamples, TelemetrySeries } from '../../messages/events/telemetry.ts';
import { AllLiveSeries, type LiveSeries } from '../../telemetry/live-series.ts';
import type { Sample } from './exposition.ts';

/** Intervals without a batch after which the series of an agent have ended; at least this long, ms. */
const STALE_INTERVALS = 5;
const STALE_MS = 5_000;

/** Metrics of the agents' own scrapes, whose names Prometheus has for its scrapes of targets. */
const RENAMED: Readonly<Record<string, string>> = {
  up: 'srtctl_scrape_up',
  scrape_duration_seconds: 'srtctl_scrape_duration_seconds',
};

/** Labels that tell where a series is from. */
type Origin = 'srtctl_job' | 'node' | 'process' | 'role';

interface Pulse {
  /** When its last batch arrived, on the reader's own monotonic clock, ms. */
  at: number;
  intervalMs: number;
}

/**
 * The telemetry of a job for scrapers: what each agent has sent last. A series ends with its process; those of an agent
 * that is silent are left out, so that Prometheus marks them stale.
 */
export class LiveMetrics {
  readonly #job: string;
  readonly #roleOf: (process: string) => string | undefined;
  readonly #wants: (name: string) => boolean;
  readonly #series = new AllLiveSeries();
  readonly #pulses = new Map<string, Pulse>();
  /** By the labels of the series, which stay the same object. */
  readonly #labels = new WeakMap<object, Readonly<Record<string, string>>>();

  /**
   * @param roleOf the role of a process, such as `decode`
   * @param wants whether metrics of a name are kept; those of a large job need a gigabyte
   */
  constructor(
    job: string,
    roleOf: (process: string) => string | undefined,
    wants: (name: string) => boolean = () => true,
  ) {
    this.#job = job;
    this.#roleOf = roleOf;
    this.#wants = wants;
  }

  describe(message: TelemetrySeries): void {
    this.#series.describe({ ...message, series: message.series.filter(({ name }) => this.#wants(name)) });
  }

  /** @param now of a monotonic clock, ms */
  sample(message: TelemetrySamples, now: number): void {
    this.#series.sample(message);
    this.#pulses.set(message.node, { at: now, intervalMs: message.intervalMs });
  }

  /** Agents whose batches arrive. */
  nodes(now: number): string[] {
    return [...this.#pulses].flatMap(([node, { at, intervalMs }]) =>
      now - at <= Math.max(STALE_MS, STALE_INTERVALS * intervalMs) ? [node] : [],
    );
  }

  *samples(now: number): Generator<Sample> {
    const living = new Set(this.nodes(now));
    for (const series of this.#series.all())
      if (living.has(series.node))
        yield {
          name: RENAMED[series.name] ?? series.name,
          type: series.type,
          labels: this.#labelsOf(series),
          value: series.value,
        };
  }

  #labelsOf(series: LiveSeries): Readonly<Record<string, string>> {
    const known = this.#labels.get(series.labels);
    if (known) return known;
    const role = series.process === undefined ? undefined : this.#roleOf(series.process);
    const origin: Partial<Record<Origin, string>> = {
      ...{ srtctl_job: this.#job, node: series.node },
      ...(series.process === undefined ? {} : { process: series.process }),
      ...(role === undefined ? {} : { role }),
    };
    // As Prometheus does it with the labels of a target.
    const own = Object.entries(series.labels).map(([name, value]) => [
      name in origin ? `exported_${name}` : name,
      value,
    ]);
    const labels: Record<string, string> = { ...origin, ...Object.fromEntries(own) };
    // A process may be described before its first transition has arrived.
    if (series.process === undefined || role !== undefined) this.#labels.set(series.labels, labels);
    return labels;
  }
}
