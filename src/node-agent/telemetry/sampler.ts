import type { Bus } from '../../messages/bus/bus.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import { toToken } from '../../messages/events/subjects.ts';
import type {
  SampleValue,
  Series,
  TelemetrySamples,
  TelemetrySeries,
} from '../../messages/events/telemetry.ts';
import type { TelemetrySettings } from '../../messages/job-directory/job-files.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { LabelCheck } from './hidden.ts';
import { PowerHistory } from './power-history.ts';
import { MOST_SERIES, Scrape } from './scrape.ts';
import { SeriesBook } from './series-book.ts';
import { TelemetryLog } from './telemetry-log.ts';

/** Series, and values, in one message: a message has at most 1 MB. */
const SERIES_A_MESSAGE = 200;
const VALUES_A_MESSAGE = 20_000;
/** Within this time all series are sent again, ms. */
const REPEAT_MS = 30_000;
/** The share of an interval for which a batch waits for slow answers; they are part of a later one. */
const WAIT_SHARE = 0.8;

/** Reads something of the node at each tick. */
export interface Collector {
  /** Sets values in the book; must not throw, and must not take long. */
  collect(): void;
  stop?(): void;
}

export interface SamplerOptions {
  /** Name of the agent. */
  readonly node: string;
  readonly incarnation: string;
  readonly settings: TelemetrySettings;
  readonly bus: Pick<Bus, 'publish' | 'status'>;
  readonly subjects: Subjects;
  /** ms since 1970, by the clock of the agent's events. */
  readonly now: () => number;
  /** Processes that are ready, each with the number of its start. */
  readonly ready: () => readonly { readonly start: number; readonly spec: ProcessSpec }[];
  /** The environment that the agent gives to its processes. */
  readonly environment: Readonly<Record<string, string>>;
  readonly collectors?: (book: SeriesBook) => readonly Collector[];
  /** Called after each batch. */
  readonly onBatch?: () => void;
  readonly log: { warn(detail: object, message: string): void };
}

/**
 * Takes samples at each multiple of the interval, of all processes with metrics and of the node; publishes them and appends
 * them to a log in the job's directory. Nothing here waits for a reader.
 */
export class Sampler {
  readonly #options: SamplerOptions;
  readonly #book: SeriesBook;
  readonly #power: PowerHistory;
  /** By the number of the process's start. */
  readonly #scrapes = new Map<number, Scrape[]>();
  readonly #collectors: readonly Collector[];
  /** Exporters that do not belong to the job. */
  readonly #exporters: readonly Scrape[];
  #log: TelemetryLog;
  #timer: NodeJS.Timeout | undefined;
  #seq = 0;
  #lastAt = 0;
  /** Ids that have yet to be sent again in this round. */
  #toRepeat: number[] = [];
  #ticking: Promise<void> = Promise.resolve();

  constructor(options: SamplerOptions) {
    this.#options = options;
    const { intervalMs, powerMetric } = options.settings;
    this.#power = new PowerHistory(intervalMs, powerMetric === undefined ? [] : [powerMetric]);
    this.#book = new SeriesBook((id, series) => this.#power.begun(id, series));
    this.#collectors = options.collectors?.(this.#book) ?? [];
    this.#exporters = this.#exportersOfNode();
    this.#log = this.#openLog();
  }

  start(): void {
    this.#next();
  }

  /** Sends all series now; returns their number. */
  describe(): number {
    const ids = this.#book.ids();
    this.#publishSeries(this.#book.describe(ids), this.#lastAt);
    return ids.length;
  }

  get power(): Pick<PowerHistory, 'between'> {
    return this.#power;
  }

  /** Characters in the log so far. */
  get logSize(): number {
    return this.#log.size;
  }

  /** Closes the log; resolves with its path when it is complete. Samples go on in a new one. */
  async turnLog(): Promise<string> {
    const old = this.#log;
    this.#log = this.#openLog();
    this.#logSeries(this.#book.describe(this.#book.ids()), this.#lastAt);
    await old.close();
    return old.path;
  }

  /** Ends the sampling; resolves with the path of the last log when it is complete. */
  async stop(): Promise<string> {
    clearTimeout(this.#timer);
    for (const collector of this.#collectors) collector.stop?.();
    await this.#ticking;
    clearTimeout(this.#timer);
    for (const scrape of [...this.#scrapes.values()].flat()) scrape.end();
    await this.#log.close();
    return this.#log.path;
  }

  #openLog(): TelemetryLog {
    const { node, settings, now, log } = this.#options;
    return new TelemetryLog(settings.directory, `${toToken(node)}-${Math.floor(now())}.jsonl`, (error) =>
      log.warn({ error: String(error) }, 'telemetry is not kept any more'),
    );
  }

  #next(): void {
    const { now, settings } = this.#options;
    const at = nextMultiple(now(), settings.intervalMs);
    this.#timer = setTimeout(() => {
      this.#ticking = this.#tick(at).then(() => this.#next());
    }, at - now());
    this.#timer.unref();
  }

  async #tick(at: number): Promise<void> {
    // A timer may fire a little early.
    if (at <= this.#lastAt) return;
    this.#followProcesses();
    for (const collector of this.#collectors) collector.collect();
    const reads = [...this.#exporters, ...[...this.#scrapes.values()].flat()].map((scrape) => scrape.read());
    if (reads.length > 0) await within(this.#options.settings.intervalMs * WAIT_SHARE, reads);
    this.#send(at);
  }

  #exportersOfNode(): Scrape[] {
    const { settings, environment, log } = this.#options;
    if (!settings.machine) return [];
    const check = new LabelCheck(environment);
    return (settings.exporters ?? []).map(({ name, port, path }) => {
      const onTooMany = () =>
        log.warn({ exporter: name }, `it has more than ${MOST_SERIES} series: the others are not recorded`);
      const endpoint = { host: '127.0.0.1', port, path };
      return new Scrape({ process: name, endpoint, book: this.#book, check, onTooMany });
    });
  }

  /** Begins and ends scrapes as processes become ready and end. */
  #followProcesses(): void {
    const ready = new Map(this.#options.ready().map(({ start, spec }) => [start, spec]));
    for (const [start, all] of this.#scrapes) {
      if (ready.has(start)) continue;
      for (const scrape of all) scrape.end();
      this.#scrapes.delete(start);
    }
    for (const [start, spec] of ready) {
      if (this.#scrapes.has(start) || !spec.metrics?.length) continue;
      const { id } = spec;
      const { environment, log } = this.#options;
      const check = new LabelCheck({ ...environment, ...spec.env });
      const onTooMany = () =>
        log.warn({ process: id }, `it has more than ${MOST_SERIES} series: the others are not recorded`);
      const all = spec.metrics.map(
        (endpoint) => new Scrape({ process: id, endpoint, book: this.#book, check, onTooMany }),
      );
      this.#scrapes.set(start, all);
    }
  }

  #send(at: number): void {
    const { node, incarnation, settings, bus, subjects } = this.#options;
    const { series, samples } = this.#book.take();
    this.#power.take(at, (id) => this.#book.valueOf(id));
    this.#lastAt = at;
    const head = { v: WIRE_VERSION, node, incarnation, at } as const;
    this.#logSeries(series, at);
    this.#publishSeries(series, at);
    for (const part of inParts(samples)) {
      const batch: TelemetrySamples = {
        ...head,
        intervalMs: settings.intervalMs,
        seq: ++this.#seq,
        samples: part,
      };
      this.#log.append(JSON.stringify(batch));
      if (bus.status.connected) bus.publish(subjects.telemetrySamples(node), batch);
    }
    if (bus.status.connected) this.#repeat(at);
    this.#options.onBatch?.();
  }

  /** Sends a part of all series again. */
  #repeat(at: number): void {
    if (this.#toRepeat.length === 0) this.#toRepeat = this.#book.ids().reverse();
    const share = Math.ceil((this.#book.size * this.#options.settings.intervalMs) / REPEAT_MS);
    const ids = this.#toRepeat.splice(-share, share);
    this.#publishSeries(this.#book.describe(ids), at);
  }

  #publishSeries(series: readonly Series[], at: number): void {
    const { bus, subjects, node } = this.#options;
    if (!bus.status.connected) return;
    for (const message of this.#messages(series, at)) bus.publish(subjects.telemetrySeries(node), message);
  }

  #logSeries(series: readonly Series[], at: number): void {
    for (const message of this.#messages(series, at)) this.#log.append(JSON.stringify(message));
  }

  *#messages(series: readonly Series[], at: number): Generator<TelemetrySeries> {
    const { node, incarnation } = this.#options;
    for (let from = 0; from < series.length; from += SERIES_A_MESSAGE)
      yield { v: WIRE_VERSION, node, incarnation, at, series: series.slice(from, from + SERIES_A_MESSAGE) };
  }
}

/** Runs of samples, in parts that each fit into a message; at least one part, which may be empty. */
function inParts(samples: TelemetrySamples['samples']): TelemetrySamples['samples'][] {
  const parts: TelemetrySamples['samples'][] = [[]];
  let size = 0;
  for (const run of samples)
    for (let from = 1; from < run.length; from += VALUES_A_MESSAGE) {
      const values = run.slice(from, from + VALUES_A_MESSAGE) as SampleValue[];
      if (size > 0 && size + values.length > VALUES_A_MESSAGE) {
        parts.push([]);
        size = 0;
      }
      parts.at(-1)?.push([run[0] + from - 1, ...values]);
      size += values.length;
    }
  return parts;
}

/** The first multiple of `step` after `now`. */
const nextMultiple = (now: number, step: number): number => (Math.floor(now / step) + 1) * step;

/** Resolves when all have settled, or after `ms`. */
async function within(ms: number, all: readonly Promise<unknown>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.allSettled(all), late]).finally(() => clearTimeout(timer));
}
