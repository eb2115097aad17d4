import * as z from 'zod';

/** What was sent. Lengths in tokens. */
export const workloadSchema = z.object({
  /** `random`, or the name of the data set. */
  dataset: z.string(),
  /** `text`: of exact length where there was a tokenizer; `words`: about a token each, and usage tells the length. */
  prompts: z.enum(['text', 'token ids', 'words']),
  /** Directory of the tokenizer by which lengths were made; null = there was none. */
  tokenizer: z.string().nullable(),
  /** Who put the model's chat template around a prompt. */
  chatTemplate: z.enum(['client', 'engine', 'none']),
  /** Tokens that the engine added to each prompt, as a beginning of the text; prompts are shorter by them. */
  addedTokens: z.number().int().optional(),
  /** SHA-256 over the kind, the lengths, the contents and the order of the measured prompts. */
  hash: z.string(),
});

/** When requests were sent. Rates in requests per second, from the first to the last. */
export const loadSchema = z.object({
  shape: z.enum(['closed loop', 'open loop']),
  /** Of an open loop: the distribution of the gaps between requests, or `trace`. */
  arrivals: z.enum(['poisson', 'gamma', 'constant', 'trace']).nullable(),
  /** The rate of the recipe; null = as fast as the concurrency allows. */
  askedRate: z.number().nullable(),
  /** The rate of the times that were drawn; null = unknown, or fewer than two requests. */
  drawnRate: z.number().nullable(),
  sentRate: z.number().nullable(),
});
