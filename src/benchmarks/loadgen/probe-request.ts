import { setTimeout as sleep } from 'node:timers/promises';
import type { Load } from './load.ts';
import { measureRequest, outgoing } from './request/request.ts';
import type { WireClient } from './wire/client.ts';
import type { Prompt, Prompts } from './workload/prompt.ts';
import { seededRandom } from './workload/random.ts';

/** A short answer is enough to show that requests are accepted. */
const MOST_TOKENS = 4;
/** How long a deployment may refuse for a temporary reason: a worker that returns, a full queue. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 1_000;
/** An answer of a few tokens that takes longer is worth a word. */
const SILENCE_MS = 10_000;
/** Permanent refusals: the request is wrong, or no server has the path. 408 and 429 are temporary. */
const FINAL = /^HTTP 4(?!08|29)\d\d\b/;

/**
 * Sends one request of the benchmark's kind before the warm-up, because otherwise a deployment that refuses
 * all requests would only be noticed at the end. Rejects with the deployment's error. Resolves with how many
 * prompt tokens the deployment counted beyond those of the prompt; null = unknown.
 */
export async function probe(
  client: WireClient,
  { config, model, source }: Load,
  signal: AbortSignal,
): Promise<number | null> {
  // Uses a prompt that is not measured, because measured prefixes must not be in a cache.
  const prompt = await firstOf(source.prompts(1, seededRandom(~config.seed)));
  if (!prompt) return null;
  const short = { ...prompt, outputTokens: Math.min(prompt.outputTokens, MOST_TOKENS) };
  const began = performance.now();
  // Said once: further lines would look like progress to the coordinator, which ends a benchmark that hangs.
  const silence = setTimeout(
    () => say(`no answer to the first request for ${SILENCE_MS / 1_000} s: waiting`),
    SILENCE_MS,
  );
  for (let attempt = 1; ; attempt++) {
    const { error, usage } = await measureRequest(client, outgoing(config, model, short));
    clearTimeout(silence);
    signal.throwIfAborted();
    if (error === null) {
      const counted = usage?.promptTokens ?? null;
      return counted === null || !prompt.isExact ? null : counted - prompt.inputTokens;
    }
    if (FINAL.test(error) || performance.now() - began > PATIENCE_MS)
      throw new Error(`the first request failed, so none was measured: POST ${config.endpoint}: ${error}`);
    if (attempt === 1)
      say(`the first request failed, and is tried again for ${PATIENCE_MS / 1_000} s: ${error}`);
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function firstOf(prompts: Prompts): Promise<Prompt | undefined> {
  for await (const prompt of prompts) return prompt;
  return undefined;
}
