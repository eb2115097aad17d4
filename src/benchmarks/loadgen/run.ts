import type { Pool } from 'undici';
import type { ServingResult } from '../../messages/result.ts';
import type { LoadgenConfig } from './config.ts';
import type { Prompt } from './dataset.ts';
import { type Measured, measureRequest } from './request.ts';
import { distributionOf } from './statistics.ts';

export interface Tally {
  done: number;
  failed: number;
  outputTokens: number;
}

/** Sends all prompts with at most `concurrency` in flight, at the rate asked for. */
export async function sendAll(
  pool: Pool,
  config: LoadgenConfig,
  model: string,
  prompts: readonly Prompt[],
  options: {
    concurrency: number;
    random: () => number;
    signal: AbortSignal;
    tally: Tally;
  },
): Promise<Measured[]> {
  const { concurrency, random, signal, tally } = options;
  const measured: Measured[] = [];
  const arrivals = arrivalTimes(config.requestRate, prompts.length, random);
  const begin = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < prompts.length) {
      const index = next++;
      const prompt = prompts[index];
      if (!prompt) return;
      await sleepUntil(begin + (arrivals[index] ?? 0), signal);
      const one = await measureRequest(pool, config, model, prompt, signal);
      measured.push(one);
      tally.done++;
      if (one.error !== null) tally.failed++;
      tally.outputTokens += one.outputTokens;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, prompts.length) }, worker));
  return measured;
}

/** ms after the begin: exponential gaps (Poisson arrivals), or all at once. */
export function arrivalTimes(rate: number | 'inf', count: number, random: () => number): number[] {
  if (rate === 'inf') return [];
  let at = 0;
  return Array.from({ length: count }, () => {
    at += (-Math.log(1 - random()) / rate) * 1_000;
    return at;
  });
}

async function sleepUntil(at: number, signal: AbortSignal): Promise<void> {
  const ms = at - performance.now();
  if (ms <= 0) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
  signal.throwIfAborted();
}

/** The figures of one concurrency. Failed requests count as such and in nothing else. */
export function summarise(
  config: Pick<LoadgenConfig, 'isl' | 'osl' | 'requestRate'>,
  concurrency: number,
  measured: readonly Measured[],
): ServingResult {
  const good = measured.filter((one) => one.error === null);
  const errors = measured.flatMap((one) => (one.error === null ? [] : [one.error]));
  const first = Math.min(...measured.map((one) => one.startedAt));
  const last = Math.max(...measured.map((one) => one.endedAt));
  const durationS = measured.length === 0 ? 0 : (last - first) / 1_000;
  const perSecond = (count: number): number => (durationS > 0 ? count / durationS : 0);
  const sum = (of: (one: Measured) => number): number => good.reduce((total, one) => total + of(one), 0);
  const inputTokens = sum((one) => one.inputTokens);
  const outputTokens = sum((one) => one.outputTokens);
  return {
    concurrency,
    requestRate: config.requestRate === 'inf' ? null : config.requestRate,
    isl: config.isl,
    osl: config.osl,
    requests: measured.length,
    completed: good.length,
    failed: errors.length,
    errors: [...new Set(errors)].slice(0, 5),
    durationS,
    inputTokens,
    outputTokens,
    requestThroughput: perSecond(good.length),
    inputThroughput: perSecond(inputTokens),
    outputThroughput: perSecond(outputTokens),
    totalThroughput: perSecond(inputTokens + outputTokens),
    ttftMs: distributionOf(good.map((one) => one.ttftMs)),
    // A request of one token has no time per output token after the first.
    tpotMs: distributionOf(
      good
        .filter((one) => one.outputTokens > 1)
        .map((one) => (one.endedAt - one.startedAt - one.ttftMs) / (one.outputTokens - 1)),
    ),
    itlMs: distributionOf(good.flatMap((one) => one.gapsMs)),
    e2elMs: distributionOf(good.map((one) => one.endedAt - one.startedAt)),
  };
}
