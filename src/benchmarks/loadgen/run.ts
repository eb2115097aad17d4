import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Prompt } from './dataset.ts';
import type { Measured } from './request.ts';

/** How long the preparation of requests may delay reading answers. */
const HOLD_MS = 2;

export interface SendOptions {
  readonly concurrency: number;
  readonly requestRate: number | 'inf';
  /** Source of the gaps between arrivals. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Sends one request; never rejects. */
  readonly send: (prompt: Prompt) => Promise<Measured>;
  readonly onMeasured: (one: Measured) => void;
}

/**
 * Sends all prompts in turn, each when it has arrived and fewer than `concurrency` are in flight. Resolves
 * when the last has ended; rejects with the signal's reason when it is aborted.
 */
export async function sendAll(prompts: Iterable<Prompt>, options: SendOptions): Promise<void> {
  const { concurrency, requestRate, random, signal, send, onMeasured } = options;
  const inFlight = new Set<Promise<void>>();
  let freed: () => void = () => {};
  const launch = (prompt: Prompt): void => {
    const sent = send(prompt).then((one) => {
      inFlight.delete(sent);
      if (!signal.aborted) onMeasured(one);
      freed();
    });
    inFlight.add(sent);
  };

  const begin = performance.now();
  const arrivals = arrivalTimes(requestRate, random);
  let heldSince = begin;
  for (const prompt of prompts) {
    const wait = begin + arrivals() - performance.now();
    if (wait > 0) await setTimeout(wait, undefined, { signal });
    while (inFlight.size >= concurrency) {
      await new Promise<void>((resolve) => {
        freed = resolve;
      });
    }
    signal.throwIfAborted();
    launch(prompt);
    if (performance.now() - heldSince > HOLD_MS) {
      await setImmediate();
      heldSince = performance.now();
    }
  }
  await Promise.all(inFlight);
  signal.throwIfAborted();
}

/**
 * Returns at each call the arrival of the next request, in ms after the start: Poisson arrivals, or all at
 * once.
 */
export function arrivalTimes(rate: number | 'inf', random: () => number): () => number {
  if (rate === 'inf') return () => 0;
  let at = 0;
  return () => {
    at += (-Math.log(1 - random()) / rate) * 1_000;
    return at;
  };
}
