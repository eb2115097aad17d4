import * as z from 'zod';
import { envSchema, positiveSchema } from './values.ts';

/** Every benchmark type that a recipe may name. Which of them can run is benchmarks/index.ts's to say. */
export const benchmarkTypes = [
  'manual',
  'sa-bench',
  'custom',
  'mooncake-router',
  'trace-replay',
  'router',
  'gsm8k',
  'gsm8k-bench',
  'gpqa',
  'mmlu',
  'longbenchv2',
] as const;
export type BenchmarkType = (typeof benchmarkTypes)[number];

/** The types that srtctl can run today; the others plan, and wait for a runner. */
export const runnableBenchmarkTypes: readonly BenchmarkType[] = ['manual', 'sa-bench', 'custom'];

/** `4x8x16`, a list, or one number. */
const concurrenciesSchema = z
  .union([z.string(), z.number(), z.array(z.union([z.number(), z.string()]))])
  .transform((value, context) => {
    const parts = typeof value === 'string' ? value.split('x') : Array.isArray(value) ? value : [value];
    const numbers = parts.map(Number);
    if (numbers.every((n) => Number.isInteger(n) && n > 0)) return numbers;
    context.addIssue({
      code: 'custom',
      message: 'must be positive whole numbers: a list, or text such as "4x8x16"',
    });
    return z.NEVER;
  });

const requestRateSchema = z.union([z.string(), z.number()]).transform((value, context): number | 'inf' => {
  if (value === 'inf' || value === Infinity) return 'inf';
  const rate = Number(value);
  if (rate > 0 && Number.isFinite(rate)) return rate;
  context.addIssue({ code: 'custom', message: 'must be a number of requests per second, or "inf"' });
  return z.NEVER;
});

const factorSchema = z.number().min(0);

/** `benchmark` of a recipe. One shape for all types: a field that a type does not know is simply not used by it. */
export const benchmarkSchema = z.strictObject({
  type: z.enum(benchmarkTypes).default('manual'),
  env: envSchema.describe('environment of the benchmark'),

  isl: positiveSchema.optional().describe('input length in tokens'),
  osl: positiveSchema.optional().describe('output length in tokens'),
  concurrencies: concurrenciesSchema.default([]).describe('requests in flight, one run for each'),
  req_rate: requestRateSchema.default('inf').describe('requests per second'),
  random_range_ratio: factorSchema.max(1).optional().describe('shortest length as a share of the longest'),
  num_prompts_mult: factorSchema.optional().describe('requests of a run = this times its concurrency'),
  num_warmup_mult: factorSchema.optional().describe('warm-up requests = this times the concurrency'),
  use_chat_template: z.boolean().optional(),
  custom_tokenizer: z.string().nullish(),
  dataset_name: z.string().nullish(),
  dataset_path: z.string().nullish(),
  slow_down_sleep_time: factorSchema.nullish(),
  slow_down_wait_time: factorSchema.nullish(),

  command: z.string().optional().describe('custom: what bash runs'),
  container_image: z.string().nullish().describe('custom: image of the benchmark'),

  num_examples: positiveSchema.nullish(),
  num_shots: z.number().int().min(0).nullish(),
  num_threads: positiveSchema.nullish(),
  max_tokens: positiveSchema.nullish(),
  max_context_length: positiveSchema.nullish(),
  repeat: positiveSchema.nullish(),
  categories: z.array(z.string()).nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  top_k: z.number().nullish(),

  mooncake_workload: z.string().nullish(),
  trace_file: z.string().nullish(),
  ttft_threshold_ms: z.number().nullish(),
  itl_threshold_ms: z.number().nullish(),
  aiperf_package: z.string().nullish(),
  num_requests: positiveSchema.nullish(),
  concurrency: positiveSchema.nullish(),
  prefix_ratios: z.union([z.string(), z.array(z.number())]).nullish(),
});
