import * as z from 'zod';
import { flagsSchema } from '../values/flags.ts';
import { envSchema, positiveSchema } from '../values/values.ts';

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

/**
 * `benchmark` of a recipe, for the known types. One shape for all, although a type does not use every key.
 */
export const benchmarkSchemaOf = (types: readonly string[]) =>
  z
    .strictObject({
      type: z
        .enum(types)
        .default('manual')
        .describe('what is run; manual: nothing, the workers stay up until the job is stopped'),
      env: envSchema.describe('environment of the benchmark'),

      isl: positiveSchema.nullish().describe('input length in tokens'),
      osl: positiveSchema.nullish().describe('output length in tokens'),
      concurrencies: concurrenciesSchema
        .nullish()
        .transform((value) => value ?? [])
        .describe('requests in flight, one run for each: a list, one number, or text such as "4x8x16"'),
      req_rate: requestRateSchema
        .nullish()
        .transform((value) => value ?? 'inf')
        .describe('requests per second, or inf for no limit but the concurrency'),
      random_range_ratio: factorSchema.max(1).nullish().describe('shortest length as a share of the longest'),
      num_prompts_mult: factorSchema.nullish().describe('requests of a run = this times its concurrency'),
      num_warmup_mult: factorSchema.nullish().describe('warm-up requests = this times the concurrency'),
      seed: z
        .number()
        .int()
        .min(0)
        .max(2 ** 32 - 1)
        .nullish()
        .describe(
          'what prompts follow from, for all points and attempts; by default each has its own, which its result says',
        ),
      stop_when_invalid: z
        .boolean()
        .default(true)
        .describe('sa-bench: the first measured request that fails ends the benchmark'),
      use_chat_template: z.boolean().nullish().describe("requests go through the model's chat template"),
      custom_tokenizer: z.string().nullish().describe('class of the tokenizer, as module.Class'),
      reuse_http_connections: z.boolean().nullish().describe('keep connections open from request to request'),
      dataset_name: z.string().nullish().describe('random, or custom'),
      dataset_path: z.string().nullish().describe('file of a custom dataset, in the container'),
      slow_down_sleep_time: factorSchema
        .nullish()
        .describe('seconds for which SGLang decode workers sleep in each step, so that a batch fills up'),
      slow_down_wait_time: factorSchema.nullish().describe('seconds after which that ends'),

      command: z.string().min(1).nullish().describe('custom: what bash runs'),
      container_image: z.string().nullish().describe('image of the benchmark, or alias from containers'),

      num_examples: positiveSchema.nullish().describe('accuracy: how many questions'),
      num_shots: z.number().int().min(0).nullish().describe('accuracy: examples before a question'),
      num_threads: positiveSchema.nullish().describe('accuracy: requests at once'),
      max_tokens: positiveSchema.nullish().describe('accuracy: longest answer in tokens'),
      max_context_length: positiveSchema.nullish().describe('longbenchv2: longest input in tokens'),
      repeat: positiveSchema.nullish().describe('accuracy: how many times'),
      categories: z.array(z.string()).nullish().describe('longbenchv2: which questions'),
      temperature: z.number().min(0).nullish().describe('sampling'),
      top_p: z.number().min(0).max(1).nullish().describe('sampling'),
      top_k: z.number().int().nullish().describe('sampling'),

      mooncake_workload: z
        .string()
        .nullish()
        .describe('mooncake-router: mooncake, conversation, synthetic or toolagent'),
      trace_file: z.string().nullish().describe('trace-replay: the trace (JSON lines), in the container'),
      ttft_threshold_ms: z.number().positive().nullish().describe('longest TTFT in ms of a good request'),
      itl_threshold_ms: z.number().positive().nullish().describe('longest ITL in ms of a good request'),
      aiperf_package: z.string().nullish().describe('what pip installs as aiperf before the benchmark'),
      aiperf_args: flagsSchema.nullish().describe('further options of aiperf, without the leading dashes'),
      num_requests: positiveSchema.nullish().describe('router: how many requests'),
      concurrency: positiveSchema.nullish().describe('router: requests in flight'),
      prefix_ratios: z
        .union([z.string(), z.array(z.number())])
        .nullish()
        .describe('router: share of a prompt that requests have in common'),
      agentperf_client_dir: z.string().nullish().describe('agentperf: the client, in the container'),
      agentperf_config: z.string().nullish().describe('agentperf: its workload, in the container'),
      export_node_metrics: z.boolean().nullish().describe('keep what each node measured of its batches'),

      client_placement: z
        .enum(['head', 'last_decode'])
        .default('head')
        .describe('node on which the benchmark runs'),
      client_dedicated_node: z.boolean().default(false).describe('a node for the benchmark alone'),
      placement: z
        .strictObject({
          node: z
            .enum(['head', 'last_decode', 'dedicated'])
            .default('head')
            .describe('node of the benchmark'),
        })
        .nullish()
        .describe('another way to write client_placement and client_dedicated_node'),
      colocate_with_frontend: z
        .boolean()
        .default(true)
        .describe('nodes set aside for infrastructure, router and benchmark are one and the same'),
    })
    .transform(({ placement, ...benchmark }) =>
      placement
        ? {
            ...benchmark,
            client_dedicated_node: placement.node === 'dedicated',
            client_placement: placement.node === 'last_decode' ? ('last_decode' as const) : ('head' as const),
          }
        : benchmark,
    );
