import * as z from 'zod';

/** What the load generator is told, as a JSON file. Lengths in tokens. */
export const loadgenConfigSchema = z.object({
  v: z.literal(1),
  /** Frontend, as in http://127.0.0.2:8000. */
  url: z.url(),
  endpoint: z.enum(['/v1/completions', '/v1/chat/completions']),
  /** Name by which the workers serve the model; null = the first that /v1/models lists. */
  model: z.string().nullable(),
  /** /v1/models must list that name. Otherwise one other name, by itself, will do. */
  mustList: z.boolean(),
  /** Directory of the model, or `org/name` of the hub: its vocabulary is read there. null = it is not read. */
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
  /** `tokens`: arrays of token ids, exact in length; `words`: about a token each, for what takes only text. */
  prompts: z.enum(['tokens', 'words']),
  /** What prompts, their lengths and the gaps between them follow from. */
  seed: z.number().int().nonnegative(),
  /** true: every attempt has this seed; else each has one of its own that follows from it. */
  isSeedFixed: z.boolean().default(false),
  /** Engines that say how many tokens of prompts came from their caches. */
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
  /** Ends at the first request that fails of those that are measured, because the result is not valid from then on. */
  stopWhenInvalid: z.boolean().default(false),
  resultDir: z.string(),
  progressFile: z.string(),
});
export type LoadgenConfig = z.infer<typeof loadgenConfigSchema>;

/** Name of the result file of one concurrency, below `resultDir`. */
export const resultFileOf = (concurrency: number): string => `results_concurrency_${concurrency}.json`;
export const resultFilePattern = /^results_concurrency_\d+\.json$/;
