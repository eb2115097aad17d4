/**
 * What engines say of themselves in their /metrics, by the end of the metric's name: engines have a prefix of their own
 * and agree on little else (SGLang 0.5.23, vLLM 0.32, Dynamo 1.6.1).
 */
const NAMES = {
  running: /[:_](num_running_reqs|num_requests_running|inflight_requests)$/,
  waiting:
    /[:_](num_queue_reqs|num_requests_waiting|num_(prefill_bootstrap|prefill_inflight|decode_prealloc|decode_transfer)_queue_reqs)$/,
  cache: /[:_](token_usage|kv_cache_usage_perc|gpu_cache_usage_perc)$/,
  outputTokens: /[:_]generation_tokens_total$/,
  inputTokens: /[:_]prompt_tokens_total$/,
} as const;
type Figure = keyof typeof NAMES;

/** Values over the last minutes, oldest first. */
const MOST_VALUES = 120;
/** A rate needs two looks at least this far apart, ms. */
const APART_MS = 500;

/** The figures of an engine over time; the rates are tokens per second. */
export interface EngineFigures {
  readonly running: readonly number[];
  readonly waiting: readonly number[];
  /** Used share of the KV cache, 0 to 1. */
  readonly cache: readonly number[];
  readonly outputRate: readonly number[];
  readonly inputRate: readonly number[];
}

class Engine implements EngineFigures {
  readonly running: number[] = [];
  readonly waiting: number[] = [];
  readonly cache: number[] = [];
  readonly outputRate: number[] = [];
  readonly inputRate: number[] = [];
  #last: { readonly at: number; readonly output: number | null; readonly input: number | null } | null = null;

  take(values: ReadonlyMap<string, number>, at: number): void {
    const found = figuresIn(values);
    for (const figure of ['running', 'waiting', 'cache'] as const) {
      const value = found[figure];
      if (value !== undefined) add(this[figure], value);
    }
    const seconds = this.#last ? (at - this.#last.at) / 1_000 : 0;
    if (this.#last && seconds * 1_000 < APART_MS) return;
    const [output, input] = [found.outputTokens ?? null, found.inputTokens ?? null];
    if (this.#last) {
      addRate(this.outputRate, this.#last.output, output, seconds);
      addRate(this.inputRate, this.#last.input, input, seconds);
    }
    this.#last = { at, output, input };
  }
}

function addRate(rates: number[], before: number | null, now: number | null, seconds: number): void {
  // A counter that goes back is that of a new process.
  if (before !== null && now !== null && now >= before) add(rates, (now - before) / seconds);
}

function add(values: number[], value: number): void {
  values.push(value);
  if (values.length > MOST_VALUES) values.shift();
}

function figuresIn(values: ReadonlyMap<string, number>): Partial<Record<Figure, number>> {
  const found: Partial<Record<Figure, number>> = {};
  for (const [name, value] of values)
    for (const figure of Object.keys(NAMES) as Figure[])
      if (NAMES[figure].test(name)) found[figure] = (found[figure] ?? 0) + value;
  return found;
}

/** The engines of a job by their processes. */
export class Engines {
  readonly #engines = new Map<string, Engine>();

  /** @param at ms since 1970 */
  take(process: string, values: ReadonlyMap<string, number>, at: number): void {
    const engine = this.#engines.get(process) ?? new Engine();
    this.#engines.set(process, engine);
    engine.take(values, at);
  }

  of(process: string): EngineFigures | undefined {
    return this.#engines.get(process);
  }

  /** All requests that run and wait; null where no engine says. */
  totals(processes: Iterable<string>): { readonly running: number | null; readonly waiting: number | null } {
    let [running, waiting]: (number | null)[] = [null, null];
    for (const id of processes) {
      const engine = this.#engines.get(id);
      running = plus(running ?? null, engine?.running.at(-1));
      waiting = plus(waiting ?? null, engine?.waiting.at(-1));
    }
    return { running: running ?? null, waiting: waiting ?? null };
  }
}

const plus = (sum: number | null, value: number | undefined): number | null =>
  value === undefined ? sum : (sum ?? 0) + value;
