import type { Measured } from '../../src/benchmarks/loadgen/figures/measured.ts';
import { measured } from './measured.ts';

export interface Shape {
  readonly concurrency: number;
  readonly requests: number;
  /** Requests per second, or null: as many as the concurrency allows. */
  readonly rate: number | null;
  readonly isl: number;
  readonly osl: number;
  readonly ttftMs: number;
  readonly tpotMs: number;
  /** Tokens of a chunk. */
  readonly perChunk: number;
}

/** Normally distributed (Box and Muller). */
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/**
 * The requests of a run on a steady engine, as they end: the first ones arrive together and wait for one
 * another, times are skewed, and neighbours resemble each other, because they share batches.
 */
export function simulatedRun(shape: Shape, random: () => number): Measured[] {
  const { concurrency, requests, rate, isl, osl, perChunk } = shape;
  const free = Array.from({ length: concurrency }, () => 0);
  const run: Measured[] = [];
  let [arrival, mood] = [0, 0];
  for (let index = 0; index < requests; index++) {
    if (rate !== null) arrival += (-Math.log(1 - random()) / rate) * 1_000;
    mood = 0.95 * mood + 0.03 * normal(random);
    const slot = free.indexOf(Math.min(...free));
    const at = free[slot] ?? 0;
    const intendedAt = rate === null ? at : arrival;
    const heldMs = Math.max(at - intendedAt, 0);
    const startedAt = Math.max(at, intendedAt) + 0.2 * random();
    const crowd = index < concurrency ? 1 + index / 4 : 1;
    const ttftMs = shape.ttftMs * crowd * Math.exp(mood + 0.5 * normal(random));
    const tpotMs = shape.tpotMs * Math.exp(mood + 0.1 * normal(random));
    const outputTokens = Math.max(1, Math.floor(osl * (0.8 + 0.2 * random())));
    const chunks = Math.ceil(outputTokens / perChunk);
    const gapsMs = Array.from({ length: chunks - 1 }, () => tpotMs * perChunk * (0.5 + random()));
    const endedAt = startedAt + ttftMs + gapsMs.reduce((sum, gap) => sum + gap, 0);
    free[slot] = endedAt;
    const inputTokens = Math.max(1, Math.floor(isl * (0.8 + 0.2 * random())));
    run.push(
      measured({
        ...{ index, intendedAt, startedAt, heldMs, ttftMs, gapsMs, endedAt, inputTokens, outputTokens },
        queuedMs: startedAt - intendedAt,
        answerBytes: 100 * chunks,
      }),
    );
  }
  return run.sort((a, b) => a.endedAt - b.endedAt);
}
