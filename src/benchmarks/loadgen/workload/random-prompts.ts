import { mixed } from '../../common/seed.ts';
import type { Contents } from './contents.ts';
import type { Prompt } from './prompt.ts';
import { between, seededRandom } from './random.ts';
import type { WorkloadSettings } from './settings.ts';

type RandomConfig = Pick<WorkloadSettings, 'isl' | 'osl' | 'randomRangeRatio' | 'sharedPrefixRatio' | 'seed'>;

/** Tells the seed of the shared part from those of stages, which are smaller numbers. */
const SHARED = 0xffff;

/**
 * Random prompts without end. Lengths are uniform in [ratio × length, length] as in sa-bench's random data set
 * (NVIDIA/srt-slurm 1.0.68, benchmark_serving.py), where the ratio applies to the part of a prompt that is
 * random, and `isl` includes the chat template.
 * @param room tokens that the engine adds to each prompt
 */
export function* randomPrompts(
  config: RandomConfig,
  contents: Contents,
  random: () => number,
  room: () => number = () => 0,
): Generator<Prompt, void> {
  const lengthOf = (most: number): number =>
    between(random, Math.max(1, Math.floor(most * config.randomRangeRatio)), most);
  const sharedTokens = Math.round(config.isl * config.sharedPrefixRatio);
  for (;;) {
    const added = contents.around + room();
    const inputTokens = lengthOf(config.isl - added) + added;
    const outputTokens = lengthOf(config.osl);
    const shared =
      sharedTokens > 0
        ? { tokens: sharedTokens - room(), random: seededRandom(mixed(config.seed, SHARED)) }
        : undefined;
    const made = contents.content(inputTokens - room(), random, shared);
    yield { ...made, inputTokens: made.inputTokens + room(), outputTokens };
  }
}

/** The first `count` of an endless sequence. */
export function* first<T>(count: number, all: Iterable<T>): Generator<T, void> {
  if (count <= 0) return;
  let left = count;
  for (const one of all) {
    yield one;
    if (--left <= 0) return;
  }
}
