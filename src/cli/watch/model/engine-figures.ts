/**
 * What engines say of themselves in their /metrics, by the end of the metric's name: engines have a prefix of their own
 * and agree on little else (SGLang 0.5.23, vLLM 0.32, Dynamo 1.6.1).
 */
const NAMES = {
  running: /[:_](num_running_reqs|num_requests_running)$/,
  waiting:
    /[:_](num_queue_reqs|num_requests_waiting|num_(prefill_bootstrap|prefill_inflight|decode_prealloc|decode_transfer)_queue_reqs)$/,
  open: /[:_]http_requests_active$/,
  cache: /[:_](token_usage|kv_cache_usage_perc|gpu_cache_usage_perc)$/,
  outputTokens: /[:_]generation_tokens_total$/,
  inputTokens: /[:_]prompt_tokens_total$/,
} as const;
export type Figure = keyof typeof NAMES;

const FIGURES = Object.keys(NAMES) as Figure[];

/** The figure that a metric is a part of; undefined for one that the screen does not show. */
export const figureOf = (name: string): Figure | undefined =>
  FIGURES.find((figure) => NAMES[figure].test(name));

/** Values over the last minutes, oldest first. */
const MOST_VALUES = 120;
/** A rate is measured over this much time, ms, because some engines update their counters only now and then. */
const APART_MS = 2_000;

/** The figures of an engine over time; the rates are tokens per second. */
export interface EngineFigures {
  readonly running: readonly number[];
  readonly waiting: readonly number[];
  /** Requests that its server has not answered yet, where it says so. */
  readonly open: readonly number[];
  /** Used share of the KV cache, 0 to 1. */
  readonly cache: readonly number[];
  readonly outputRate: readonly number[];
  readonly inputRate: readonly number[];
}

export type Values = Readonly<Partial<Record<Figure, number>>>;

class Engine implements EngineFigures {
  readonly running: number[] = [];
  readonly waiting: number[] = [];
  readonly open: number[] = [];
  readonly cache: number[] = [];
  readonly outputRate: number[] = [];
  readonly inputRate: number[] = [];
  #last: { readonly at: number; readonly values: Values } | null = null;

  take(values: Values, at: number): void {
    for (const figure of ['running', 'waiting', 'open', 'cache'] as const) add(this[figure], values[figure]);
    if (this.#last && at - this.#last.at < APART_MS) return;
    if (this.#last) {
      const seconds = (at - this.#last.at) / 1_000;
      const before = this.#last.values;
      addRate(this.outputRate, before.outputTokens, values.outputTokens, seconds);
      addRate(this.inputRate, before.inputTokens, values.inputTokens, seconds);
    }
    this.#last = { at, values };
  }
}

function addRate(
  rates: number[],
  before: number | undefined,
  now: number | undefined,
  seconds: number,
): void {
  // A counter that goes back is that of a new process.
  if (before !== undefined && now !== undefined && now >= before) add(rates, (now - before) / seconds);
}

function add(values: number[], value: number | undefined): void {
  if (value === undefined) return;
  values.push(value);
  if (values.length > MOST_VALUES) values.shift();
}

/** The engines of a job by their processes. */
export class Engines {
  readonly #engines = new Map<string, Engine>();

  /** @param at ms since 1970 */
  take(process: string, values: Values, at: number): void {
    const engine = this.#engines.get(process) ?? new Engine();
    this.#engines.set(process, engine);
    engine.take(values, at);
  }

  of(process: string): EngineFigures | undefined {
    return this.#engines.get(process);
  }

  /** All requests that run and wait; null where no engine says. */
  totals(processes: Iterable<string>): { readonly running: number | null; readonly waiting: number | null } {
    let running: number | null = null;
    let waiting: number | null = null;
    for (const id of processes) {
      const engine = this.#engines.get(id);
      running = plus(running, engine?.running.at(-1));
      waiting = plus(waiting, engine?.waiting.at(-1));
    }
    return { running, waiting };
  }
}

const plus = (sum: number | null, value: number | undefined): number | null =>
  value === undefined ? sum : (sum ?? 0) + value;
