import { Histogram } from '../common/metrics.ts';

/**
 * SGLang updates its running and waiting counts every so many decode batches (decode_log_interval in its
 * server_args, 0.5.23).
 */
const DECODE_BATCHES = 40;

/** SGLang's counters, updated when SGLang updates them, because its /metrics often lags behind its work. */
export class SglangFigures {
  /** Running and waiting requests at the last update. */
  running = 0;
  queued = 0;
  /** Tokens of completed requests. */
  promptTokens = 0;
  generationTokens = 0;
  /** Tokens of all work so far. */
  readonly realtime = { prefill_compute: 0, decode: 0 };
  readonly ttft = new Histogram();
  readonly itl = new Histogram();
  /** HTTP requests without an answer yet, by path. */
  readonly active = new Map<string, number>();
  #decodeBatches = 0;

  prefilled(tokens: number, now: { running: number; queued: number }): void {
    this.realtime.prefill_compute += tokens;
    this.#write(now);
  }

  decoded(tokens: number, now: { running: number; queued: number }): void {
    this.realtime.decode += tokens;
    if (++this.#decodeBatches % DECODE_BATCHES === 0) this.#write(now);
  }

  idle(): void {
    this.#write({ running: 0, queued: 0 });
  }

  ended({ promptTokens, generationTokens }: { promptTokens: number; generationTokens: number }): void {
    this.promptTokens += promptTokens;
    this.generationTokens += generationTokens;
  }

  /** Counts an HTTP request until the returned function is called. */
  begun(path: string): () => void {
    const add = (count: number) => this.active.set(path, (this.active.get(path) ?? 0) + count);
    add(1);
    return () => add(-1);
  }

  #write({ running, queued }: { running: number; queued: number }): void {
    this.running = running;
    this.queued = queued;
  }
}
