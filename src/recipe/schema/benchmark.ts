import * as z from 'zod';
import { flagsSchema } from '../values/flags.ts';
import { envSchema, positiveSchema } from '../values/values.ts';
import { evaluationShape } from './benchmarks/accuracy.ts';
import { validitySchema } from './validity.ts';

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

/** Programs of others that may measure in place of srtctl's load generator. */
export const OUTSIDE_CLIENTS = ['aiperf', 'sglang-bench', 'vllm-bench'] as const;

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
      stream_output: z
        .boolean()
        .nullish()
        .describe("write the benchmark's output to the log of the coordinator, too"),
      sweep: z
        .strictObject({
          mode: z.enum(['zip', 'grid']).default('zip').describe('how the lists are combined'),
          parameters: z
            .record(z.string(), z.array(z.unknown()))
            .default({})
            .describe('lists of values, by parameter'),
        })
        .nullish()
        .describe('is not used; the sweep of a recipe is its section sweep'),

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
      arrivals: z
        .enum(['poisson', 'gamma', 'constant'])
        .nullish()
        .describe('sa-bench: how the gaps between requests of req_rate are distributed; by default poisson'),
      burstiness: z
        .number()
        .positive()
        .nullish()
        .describe('sa-bench: shape of gamma gaps: 1 is poisson, less comes in bursts, more is even'),
      ramp_up: z
        .number()
        .min(0)
        .nullish()
        .describe('sa-bench: seconds in which req_rate, or without it the concurrency, rises to its value'),
      duration: z
        .number()
        .positive()
        .nullish()
        .describe('sa-bench: seconds in which requests are sent, in place of a number of requests'),
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
      use_chat_template: z
        .boolean()
        .nullish()
        .describe(
          "whether the model's chat template is around each random prompt; by default where it is known",
        ),
      tokenizer: z
        .string()
        .min(1)
        .nullish()
        .describe(
          "sa-bench: directory with a tokenizer.json, in the container, or org/name in the hub's cache; none: no tokenizer; by default the model's",
        ),
      custom_tokenizer: z.string().nullish().describe('class of the tokenizer, as module.Class'),
      reuse_http_connections: z.boolean().nullish().describe('keep connections open from request to request'),
      client: z
        .enum(['srtctl', ...OUTSIDE_CLIENTS])
        .nullish()
        .describe(
          "sa-bench: the program that measures: srtctl's load generator, or another one in the benchmark's container",
        ),
      clients: positiveSchema
        .nullish()
        .describe(
          'sa-bench: nodes that send the requests, each a share of them; with client_dedicated_node they run nothing else',
        ),
      client_threads: positiveSchema
        .nullish()
        .describe(
          'threads of the load generator; by default by the concurrency, and at most half of the cores',
        ),
      api_key_env: z
        .string()
        .regex(/^[A-Za-z_]\w*$/, 'must be the name of a variable, not the key itself')
        .nullish()
        .describe('variable in the environment of the benchmark that has the API key'),
      headers: z.record(z.string(), z.string()).nullish().describe('HTTP headers of each request'),
      extra_body: z
        .record(z.string(), z.unknown())
        .nullish()
        .describe("further members of each request's JSON, as sampling options"),
      dataset_name: z.string().nullish().describe('random, custom (JSON lines) or sharegpt'),
      dataset_path: z.string().nullish().describe('file of the data set, in the container'),
      shared_prefix_ratio: factorSchema
        .max(1)
        .nullish()
        .describe('sa-bench: share of isl with which all random prompts of a point begin'),
      slow_down_sleep_time: factorSchema
        .nullish()
        .describe('seconds for which SGLang decode workers sleep in each step, so that a batch fills up'),
      slow_down_wait_time: factorSchema.nullish().describe('seconds after which that ends'),

      command: z.string().min(1).nullish().describe('custom: what bash runs'),
      container_image: z.string().nullish().describe('image of the benchmark, or alias from containers'),

      ...evaluationShape,

      mooncake_workload: z
        .string()
        .nullish()
        .describe('mooncake-router: mooncake, conversation, synthetic or toolagent'),
      trace_file: z.string().nullish().describe('trace-replay: the trace (JSON lines), in the container'),
      ttft_threshold_ms: z.number().positive().nullish().describe('longest TTFT in ms of a good request'),
      itl_threshold_ms: z
        .number()
        .positive()
        .nullish()
        .describe(
          'longest time per output token in ms of a good request, in its mean (as aiperf counts ITL)',
        ),
      e2e_threshold_ms: z.number().positive().nullish().describe('longest E2EL in ms of a good request'),
      validity: validitySchema
        .nullish()
        .describe('sa-bench: limits within which figures are valid; false: no limit'),
      request_records_mib: factorSchema
        .nullish()
        .describe('sa-bench: largest size in MiB of the file with a line for each request; 0: no file'),
      aiperf_package: z.string().nullish().describe('what pip installs as aiperf before the benchmark'),
      aiperf_server_metrics: z.boolean().nullish().describe('aiperf: read the metrics of workers, too'),
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
