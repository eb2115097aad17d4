import { setTimeout } from 'node:timers/promises';
import type { Pool } from 'undici';
import { randomPrompts, seededRandom, type Workload } from './dataset.ts';
import { measureRequest } from './request.ts';

/** A short answer shows as well as a long one that requests are taken. */
const MOST_TOKENS = 4;
/** How long a deployment may refuse for a reason that passes: a worker that comes back, a queue that is full. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 1_000;
/** What does not pass by itself: the request is wrong, or nobody serves it. 408 and 429 do pass. */
const FINAL = /^HTTP 4(?!08|29)\d\d\b/;

/**
 * Sends one request of the benchmark's kind before the warm-up, because a deployment that refuses all of them would
 * otherwise be noticed only when every one has failed. Rejects with its words.
 */
export async function probe(
  pool: Pool,
  { config, model, ids }: Workload,
  signal: AbortSignal,
): Promise<void> {
  // Its prompt is none of those that are measured: their prefixes must not be in a cache.
  const [prompt] = randomPrompts(config, ids, 1, seededRandom(~config.seed));
  if (!prompt) return;
  const short = { ...prompt, outputTokens: Math.min(prompt.outputTokens, MOST_TOKENS) };
  const began = performance.now();
  for (;;) {
    const { error } = await measureRequest(pool, config, model, short, () => undefined);
    signal.throwIfAborted();
    if (error === null) return;
    if (FINAL.test(error) || performance.now() - began > PATIENCE_MS)
      throw new Error(`the first request failed, so none was measured: POST ${config.endpoint}: ${error}`);
    await setTimeout(PAUSE_MS, undefined, { signal });
  }
}
