import * as z from 'zod';
import { type ClientFigures, requestsOfLists, type Spread } from './figures.ts';

/** A number, or nothing where the file has none: vLLM leaves out metrics that were not asked for. */
const some = z.number().nullish().catch(null);
const list = z.array(z.number()).optional().catch(undefined);

/**
 * The file of `vllm bench serve --save-result` (vLLM 0.32.0, vllm/benchmarks/serve.py) and of the reference's sa-bench,
 * which is a fork of the same program: one object, with a key for each statistic (`p99_ttft_ms`). `--save-detailed` adds
 * lists with a value for each request.
 */
const vllmSchema = z.looseObject({
  model_id: z.string().optional(),
  backend: z.string().optional(),
  max_concurrency: some,
  request_rate: z.union([z.number(), z.string()]).nullish(),
  duration: z.number(),
  completed: z.number(),
  total_input_tokens: some,
  total_output_tokens: some,
  failed: some,
  num_prompts: some,
  request_throughput: z.number(),
  output_throughput: z.number(),
  total_token_throughput: some,
  mean_ttft_ms: z.number(),
  median_ttft_ms: z.number(),
  ttfts: list,
  latencies: list,
  output_lens: list,
  itls: z.array(z.array(z.number())).optional().catch(undefined),
  errors: z.array(z.string().nullable()).optional().catch(undefined),
});

/** The figures of such a file; undefined when it is none. */
export function readVllm(value: unknown): ClientFigures | undefined {
  const found = vllmSchema.safeParse(value).data;
  if (!found) return undefined;
  // Older releases do not count failures; a prompt without an answer was one.
  const failed = found.failed ?? (found.num_prompts == null ? null : found.num_prompts - found.completed);
  return {
    concurrency: found.max_concurrency ?? null,
    requestRate: rateOf(found.request_rate),
    completed: found.completed,
    failed,
    durationS: found.duration,
    inputTokens: found.total_input_tokens,
    outputTokens: found.total_output_tokens,
    requestThroughput: found.request_throughput,
    outputThroughput: found.output_throughput,
    totalThroughput: found.total_token_throughput ?? null,
    ttftMs: spreadOf(found, 'ttft'),
    tpotMs: spreadOf(found, 'tpot'),
    itlMs: spreadOf(found, 'itl'),
    e2elMs: spreadOf(found, 'e2el'),
    requests: requestsOfLists(found),
  };
}

/** `inf`, `trace` and nothing at all mean: no rate. */
export const rateOf = (value: unknown): number | null => {
  const rate = Number(value ?? Number.NaN);
  return Number.isFinite(rate) ? rate : null;
};

const NAMES = { mean: 'mean', median: 'median', std: 'std' } as const;
const PERCENTILES = {
  min: '0',
  max: '100',
  p1: '1',
  p5: '5',
  p10: '10',
  p25: '25',
  p75: '75',
  p90: '90',
  p95: '95',
  p99: '99',
  p999: '99.9',
};

/** `mean_ttft_ms`, `p99_ttft_ms`, `p99.9_ttft_ms`: whichever the file has. */
export function spreadOf(found: Readonly<Record<string, unknown>>, metric: string): Spread {
  const keys = [
    ...Object.entries(NAMES),
    ...Object.entries(PERCENTILES).map(([name, percentile]) => [name, `p${percentile}`]),
  ];
  return Object.fromEntries(
    keys.flatMap(([name = '', key]) => {
      const value = found[`${key}_${metric}_ms`];
      return typeof value === 'number' ? [[name, value]] : [];
    }),
  );
}
