import type { ServingResult } from '../../../messages/job-directory/serving-result.ts';
import type { WorkloadSettings } from './settings.ts';

/** A request's prompt and how long its answer should be. Lengths in tokens. */
export interface Prompt {
  readonly content: number[] | string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** true: `inputTokens` is what an engine counts; otherwise it is an estimate. */
  readonly isExact?: boolean;
  /** When a trace wants it to be sent, in ms after the start; otherwise the load shape decides. */
  readonly at?: number;
}

/**
 * Requests in the order in which they are sent. A replay of a trace gives prompts with `at`. They are made one at
 * a time, because all prompts of a large run at once would need too much memory.
 */
export type Prompts = Iterable<Prompt> | AsyncIterable<Prompt>;

/** What a result says of its prompts. */
export type WorkloadFacts = Omit<NonNullable<ServingResult['workload']>, 'hash'>;

/** Where the prompts of a benchmark come from. A data set is one function that returns this. */
export interface PromptSource {
  readonly facts: WorkloadFacts;
  readonly endpoint: WorkloadSettings['endpoint'];
  /** Lengths in tokens: what random prompts are asked to have, or the mean of a data set. */
  readonly isl: number;
  readonly osl: number;
  /** A sentence for the log. */
  readonly summary: string;
  /** The next prompts, `count` of them or as many as the data set has. */
  prompts(count: number, random: () => number): Prompts;
  /** Later prompts are so many tokens shorter, because the engine adds them to each prompt. */
  makeRoomFor?(tokens: number): void;
}
