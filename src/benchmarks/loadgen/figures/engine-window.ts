import { setTimeout } from 'node:timers/promises';
import type { EngineFigures } from '../../../messages/job-directory/serving-result.ts';
import { valuesOf } from '../../../os/prometheus.ts';
import { Histogram } from '../statistics/histogram.ts';
import type { FigureSettings } from './settings.ts';

type Engine = FigureSettings['engines'][number];
type Stated = EngineFigures['preemptions'];

const TIMEOUT_MS = 10_000;
/** Pauses between looks at gauges, ms; the last one again and again, because a look costs the engine time. */
const PAUSES_MS = [1_000, 2_000, 4_000, 10_000];
/** A new process has another one. */
const STARTED = 'process_start_time_seconds';

/** A look at one engine: values by metric; undefined when it did not answer. */
type Look = Record<string, number[]> | undefined;

/**
 * Reads the engines' metrics, looks at them again now and then, and returns a function that ends this: counters
 * since the begin, gauges between. Never rejects: what an engine does not state is null, with the reason.
 */
export async function engineWindow(
  engines: readonly Engine[],
  signal: AbortSignal,
): Promise<() => Promise<EngineFigures>> {
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  const lookAtAll = (limit: AbortSignal) => Promise.all(engines.map((engine) => look(engine, limit)));
  const before = await lookAtAll(signal);
  const gauges = new Gauges(engines);
  const watching = engines.length === 0 ? undefined : watch(() => lookAtAll(signal), gauges, until);
  return async () => {
    ended.abort();
    await watching;
    const after = await lookAtAll(signal);
    const counters = new Counters(engines, before, after);
    return {
      preemptions: counters.sum((engine) => engine.preemptions),
      kvCacheUsage: gauges.result('kvCacheUsage'),
      queue: gauges.result('queue'),
      ...counters.speculation(),
      restarted: engines.flatMap(({ process }, at) => (isNew(before[at], after[at]) ? [process] : [])),
    };
  };
}

async function watch(lookAtAll: () => Promise<Look[]>, gauges: Gauges, until: AbortSignal): Promise<void> {
  for (let number = 0; !until.aborted; number++) {
    const pause = PAUSES_MS[Math.min(number, PAUSES_MS.length - 1)];
    await setTimeout(pause, undefined, { signal: until }).catch(() => undefined);
    if (until.aborted) return;
    gauges.add(await lookAtAll());
  }
}

async function look(engine: Engine, signal: AbortSignal): Promise<Look> {
  const { host, port, path, preemptions, kvCacheUsage, queue, speculation } = engine;
  const { steps, tokens, drafted } = speculation;
  const names = [STARTED, ...preemptions, ...kvCacheUsage, ...queue, ...steps, ...tokens, ...drafted];
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const response = await fetch(`http://${host}:${port}${path}`, { signal: limit });
    return response.ok ? valuesOf(await response.text(), new Set(names)) : undefined;
  } catch {
    return undefined;
  }
}

/** The values of all of `names`; undefined when the engine has none of them. */
function valuesIn(look: Look, names: readonly string[]): number[] | undefined {
  const found = names.flatMap((name) => look?.[name] ?? []);
  return found.length === 0 ? undefined : found;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Whether another process answers: it began later, or a counter went back, where it does not say when it began. */
function isNew(before: Look, after: Look): boolean {
  if (!before || !after) return false;
  const [was, is] = [before[STARTED], after[STARTED]];
  if (was && is) return Math.max(...is) > Math.max(...was);
  return Object.keys(before).some(
    (name) => name.endsWith('_total') && sum(after[name] ?? []) < sum(before[name] ?? []),
  );
}

class Gauges {
  readonly #engines: readonly Engine[];
  readonly #seen = { kvCacheUsage: new Histogram(), queue: new Histogram() };
  readonly #silent = { kvCacheUsage: new Set<string>(), queue: new Set<string>() };

  constructor(engines: readonly Engine[]) {
    this.#engines = engines;
  }

  add(looks: readonly Look[]): void {
    const queues: number[] = [];
    for (const [at, engine] of this.#engines.entries()) {
      // An engine that is too busy to answer is looked at again.
      if (!looks[at]) continue;
      const usage = valuesIn(looks[at], engine.kvCacheUsage);
      if (!usage) this.#silent.kvCacheUsage.add(engine.process);
      for (const value of usage ?? []) this.#seen.kvCacheUsage.add(value);
      const waiting = valuesIn(looks[at], engine.queue);
      if (waiting) queues.push(sum(waiting));
      else this.#silent.queue.add(engine.process);
    }
    if (queues.length > 0) this.#seen.queue.add(sum(queues));
  }

  result(name: 'kvCacheUsage' | 'queue'): EngineFigures['queue'] {
    const none = (why: string) => ({ mean: null, max: null, why });
    if (this.#engines.length === 0) return none('the engines do not say');
    const [silent] = this.#silent[name];
    if (silent !== undefined) return none(`${silent} does not say`);
    const { count, mean, max } = this.#seen[name].plain();
    return count === 0 ? none('the run was over before the engines were looked at') : { mean, max };
  }
}

class Counters {
  readonly #engines: readonly Engine[];
  readonly #before: readonly Look[];
  readonly #after: readonly Look[];

  constructor(engines: readonly Engine[], before: readonly Look[], after: readonly Look[]) {
    this.#engines = engines;
    this.#before = before;
    this.#after = after;
  }

  /** What all engines counted together. */
  sum(namesOf: (engine: Engine) => readonly string[]): Stated {
    if (this.#engines.length === 0) return { value: null, why: 'the engines do not say' };
    let value = 0;
    for (const [at, engine] of this.#engines.entries()) {
      const names = namesOf(engine);
      const after = valuesIn(this.#after[at], names);
      if (!after || !this.#before[at]) return { value: null, why: `${engine.process} does not say` };
      // Some engines create a counter with the first count.
      value += sum(after) - sum(valuesIn(this.#before[at], names) ?? []);
    }
    return { value };
  }

  /** Only engines that speculate have its counters; with disaggregation those are the decode workers. */
  speculation(): Pick<EngineFigures, 'acceptanceLength' | 'acceptanceRate'> {
    const totals = { steps: 0, tokens: 0, drafted: 0 };
    for (const [at, { speculation }] of this.#engines.entries()) {
      const grown = (names: readonly string[]): number =>
        sum(valuesIn(this.#after[at], names) ?? []) - sum(valuesIn(this.#before[at], names) ?? []);
      const steps = grown(speculation.steps);
      if (steps <= 0) continue;
      totals.steps += steps;
      totals.tokens += grown(speculation.tokens) + (speculation.hasOwnToken ? 0 : steps);
      totals.drafted += grown(speculation.drafted);
    }
    const none = { value: null, why: 'the engines count no step of speculative decoding' };
    if (totals.steps === 0) return { acceptanceLength: none, acceptanceRate: none };
    const { steps, tokens, drafted } = totals;
    return {
      acceptanceLength: { value: tokens / steps },
      acceptanceRate:
        drafted > 0
          ? { value: (tokens - steps) / drafted }
          : { value: null, why: 'the engines do not count drafted tokens' },
    };
  }
}
