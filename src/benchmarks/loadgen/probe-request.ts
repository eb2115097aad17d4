import { setTimeout } from 'node:timers/promises';
import type { Pool } from 'undici';
import { randomPrompts, seededRandom, type Workload } from './dataset.ts';
import { measureRequest } from './request.ts';

/** A short answer is enough to show that requests are accepted. */
const MOST_TOKENS = 4;
/** How long a deployment may refuse for a temporary reason: a worker that returns, a full queue. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 1_000;
/** Permanent refusals: the request is wrong, or no server has the path. 408 and 429 are temporary. */
const FINAL = /^HTTP 4(?!08|29)\d\d\b/;

/**
 * Sends one request of the benchmark's kind before the warm-up, because otherwise a deployment that refuses
 * all requests would only be noticed at the end. Rejects with the deployment's error.
 */
export async function probe(
  pool: Pool,
  { config, model, ids }: Workload,
  signal: AbortSignal,
): Promise<void> {
  // Uses a prompt that is not measured, because measured prefixes must not be in a cache.
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
