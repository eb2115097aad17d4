import type { ServingResult } from '../../../messages/job-directory/serving-result.ts';
import { sumsOf } from '../../../os/prometheus.ts';
import type { FigureSettings } from './settings.ts';

const TIMEOUT_MS = 10_000;

interface Counts {
  readonly hits: number;
  readonly prompts: number;
}

type Cached = NonNullable<ServingResult['cache']>;

const unknown = (why: string): Cached => ({ hitTokens: null, promptTokens: null, share: null, why });

/**
 * Reads the engines' cache counters, and returns a function that reads them again; the difference belongs to
 * the measurement. Never rejects: unavailable figures are reported as unknown.
 */
export async function cacheWindow(
  caches: FigureSettings['caches'],
  signal: AbortSignal,
): Promise<() => Promise<Cached>> {
  const read = () => Promise.all(caches.map((one) => countsOf(one, signal)));
  const before = await read();
  return async () => {
    if (caches.length === 0) return unknown('the engines do not say');
    const after = await read();
    let [hitTokens, promptTokens] = [0, 0];
    for (const [index, { process }] of caches.entries()) {
      const [from, to] = [before[index], after[index]];
      if (!from || !to) return unknown(`${process} does not say`);
      hitTokens += to.hits - from.hits;
      promptTokens += to.prompts - from.prompts;
    }
    if (promptTokens <= 0) return unknown('the engines counted no prompt');
    return { hitTokens, promptTokens, share: hitTokens / promptTokens };
  };
}

async function countsOf(
  { host, port, path, hits, prompts }: FigureSettings['caches'][number],
  signal: AbortSignal,
): Promise<Counts | undefined> {
  try {
    const response = await fetch(`http://${host}:${port}${path}`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    if (!response.ok) return undefined;
    const sums = sumsOf(await response.text(), new Set([...hits, ...prompts]));
    const total = (names: readonly string[]) => names.reduce((sum, name) => sum + (sums[name] ?? 0), 0);
    // Some engines create a counter of hits only with the first hit.
    return { hits: total(hits), prompts: total(prompts) };
  } catch {
    return undefined;
  }
}
