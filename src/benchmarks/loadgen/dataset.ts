import type { LoadgenConfig } from './config.ts';

/** The source of requests: the config, and data about the deployment and its model. */
export interface Workload {
  readonly config: LoadgenConfig;
  readonly model: string;
  /** Token ids for prompts; [] when prompts are words. */
  readonly ids: readonly number[];
}

export interface Prompt {
  readonly content: number[] | string;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Numbers in [0, 1) from a seed (mulberry32), so that a run can be repeated with the same prompts. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Short and common words: with the space before it each is one token in the vocabularies of today's models.
 */
const WORDS = (
  'time year people way day man thing woman life child world school state family student group country problem ' +
  'hand part place case week company system program question work number night point home water room mother area ' +
  'money story fact month lot right study book eye job word business issue side kind head house service friend ' +
  'father power hour game line end member law car city name team minute idea body back parent face level office ' +
  'door health person art war history party result change morning reason research girl moment air teacher force'
).split(' ');

/** A whole number in [low, high]. */
const between = (random: () => number, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1));

/**
 * Lengths uniform in [ratio × length, length], as in sa-bench's random dataset; contents random. `ids`: token
 * ids of the model. A generator, because all prompts of a large run at once would need too much memory.
 */
export function* randomPrompts(
  config: Pick<LoadgenConfig, 'isl' | 'osl' | 'randomRangeRatio' | 'prompts'>,
  ids: readonly number[],
  count: number,
  random: () => number,
): Generator<Prompt, void> {
  const lengthOf = (most: number) =>
    between(random, Math.max(1, Math.floor(most * config.randomRangeRatio)), most);
  const token = () => ids[between(random, 0, ids.length - 1)] ?? 0;
  const word = () => WORDS[between(random, 0, WORDS.length - 1)];
  for (let index = 0; index < count; index++) {
    const inputTokens = lengthOf(config.isl);
    const outputTokens = lengthOf(config.osl);
    const content =
      config.prompts === 'tokens'
        ? Array.from({ length: inputTokens }, token)
        : Array.from({ length: inputTokens }, word).join(' ');
    yield { content, inputTokens, outputTokens };
  }
}
