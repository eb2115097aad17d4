import * as z from 'zod';
import { figuresShape } from './figures/settings.ts';
import { groupSchema } from './group/settings.ts';
import { outsideSchema } from './outside/settings.ts';
import { paceShape } from './pace/settings.ts';
import { requestShape } from './request/settings.ts';
import { workloadShape } from './workload/settings.ts';

/** The load generator's input, as a JSON file. Lengths in tokens. */
export const loadgenConfigSchema = z.object({
  v: z.literal(1),
  /** Name by which the workers serve the model; null = the first one that /v1/models lists. */
  model: z.string().nullable(),
  /**
   * Whether /v1/models must list that name. Otherwise a single other name is accepted. Without a name: whether it must
   * be the only one.
   */
  mustList: z.boolean(),
  ...workloadShape,
  concurrencies: z.array(z.number().int().positive()).min(1),
  ...paceShape,
  /** Requests of a run, and of its warm-up, for each unit of concurrency. */
  promptsMultiplier: z.number().positive(),
  warmupMultiplier: z.number().min(0),
  /** true: every attempt has this seed; else each attempt derives its own from it. */
  isSeedFixed: z.boolean().default(false),
  ...figuresShape,
  ...requestShape,
  /** Ends at the first measured request that fails, because the result is invalid from then on. */
  stopWhenInvalid: z.boolean().default(false),
  /** Writes what was completed in each second. */
  rates: z.boolean().optional(),
  /** Another program measures; null: this one. */
  client: outsideSchema.nullable().default(null),
  /** The clients that measure together; null: this one alone. */
  group: groupSchema.nullable().default(null),
  resultDir: z.string(),
  progressFile: z.string(),
});
export type LoadgenConfig = z.infer<typeof loadgenConfigSchema>;

/** Name of the result file of one concurrency, below `resultDir`. */
export const resultFileOf = (concurrency: number): string => `results_concurrency_${concurrency}.json`;
/** Both kinds of files. */
export const resultFilePattern = /^(results_concurrency_\d+\.json|requests_concurrency_\d+\.jsonl)$/;

type Multipliers = Pick<LoadgenConfig, 'warmupMultiplier' | 'promptsMultiplier'>;
/** Requests of the warm-up. */
export const warmupsOf = ({ warmupMultiplier }: Multipliers, concurrency: number): number =>
  Math.round(concurrency * warmupMultiplier);
/** Measured requests of a run by number. */
export const requestsOf = ({ promptsMultiplier }: Multipliers, concurrency: number): number =>
  Math.max(1, Math.round(concurrency * promptsMultiplier));
