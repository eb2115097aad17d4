import type { LoadgenConfig } from './config.ts';

export interface Prompt {
  readonly content: number[] | string;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Numbers in [0, 1) that follow from a seed (mulberry32), so that a run can be repeated with the same prompts. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Token ids that every vocabulary of some size has, and that are not special in any that we know of. */
const TOKENS = { from: 1_000, count: 20_000 };
const SYLLABLES = ['ka', 'to', 'mi', 'ra', 'ne', 'so', 'lu', 'vi', 'pa', 'de'];

/** A whole number in [low, high]. */
const between = (random: () => number, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1));

/** Lengths uniform in [ratio × length, length], as sa-bench's random dataset has them; contents random. */
export function randomPrompts(
  config: Pick<LoadgenConfig, 'isl' | 'osl' | 'randomRangeRatio' | 'prompts'>,
  count: number,
  random: () => number,
): Prompt[] {
  const lengthOf = (most: number) =>
    between(random, Math.max(1, Math.ceil(most * config.randomRangeRatio)), Math.max(1, most));
  return Array.from({ length: count }, () => {
    const inputTokens = lengthOf(config.isl);
    const outputTokens = lengthOf(config.osl);
    const ids = Array.from({ length: inputTokens }, () =>
      between(random, TOKENS.from, TOKENS.from + TOKENS.count - 1),
    );
    return {
      content: config.prompts === 'tokens' ? ids : ids.map(wordOf).join(' '),
      inputTokens,
      outputTokens,
    };
  });
}

const wordOf = (id: number): string =>
  [id % 10, Math.floor(id / 10) % 10].map((digit) => SYLLABLES[digit]).join('');
