import * as z from 'zod';

/** The load generator's input, as a JSON file. Lengths in tokens. */
export const loadgenConfigSchema = z.object({
  v: z.literal(1),
  /** Address of the frontend, for example http://127.0.0.2:8000. */
  url: z.url(),
  endpoint: z.enum(['/v1/completions', '/v1/chat/completions']),
  /** Name by which the workers serve the model; null = the first one that /v1/models lists. */
  model: z.string().nullable(),
  /** Whether /v1/models must list that name. Otherwise a single other name is accepted. */
  mustList: z.boolean(),
  /** Directory of the model, or `org/name` of the hub, to read its vocabulary; null = do not read it. */
  modelPath: z.string().nullable(),
  isl: z.number().int().positive(),
  osl: z.number().int().positive(),
  /** Lengths are uniform in [ratio × length, length]. */
  randomRangeRatio: z.number().min(0).max(1),
  concurrencies: z.array(z.number().int().positive()).min(1),
  /** Requests per second, Poisson arrivals; "inf" = as fast as the concurrency allows. */
  requestRate: z.union([z.literal('inf'), z.number().positive()]),
  /** Requests of a run, and of its warm-up, for each unit of concurrency. */
  promptsMultiplier: z.number().positive(),
  warmupMultiplier: z.number().min(0),
  /**
   * `tokens`: arrays of token ids of exact length; `words`: about one token each, for routers that only
   * accept text.
   */
  prompts: z.enum(['tokens', 'words']),
  /** Determines prompts, their lengths and the gaps between them. */
  seed: z.number().int().nonnegative(),
  /** true: every attempt has this seed; else each attempt derives its own from it. */
  isSeedFixed: z.boolean().default(false),
  /** Engines that report how many prompt tokens came from their caches. */
  caches: z
    .array(
      z.object({
        process: z.string(),
        host: z.string(),
        port: z.number().int(),
        path: z.string(),
        hits: z.array(z.string()),
        prompts: z.array(z.string()),
      }),
    )
    .default([]),
  /** From sending to the last byte. A timer of 2^31 ms or more would fire at once. */
  requestTimeoutMs: z
    .number()
    .int()
    .positive()
    .max(2 ** 31 - 1),
  /** Ends at the first measured request that fails, because the result is invalid from then on. */
  stopWhenInvalid: z.boolean().default(false),
  resultDir: z.string(),
  progressFile: z.string(),
});
export type LoadgenConfig = z.infer<typeof loadgenConfigSchema>;

/** Name of the result file of one concurrency, below `resultDir`. */
export const resultFileOf = (concurrency: number): string => `results_concurrency_${concurrency}.json`;
export const resultFilePattern = /^results_concurrency_\d+\.json$/;
