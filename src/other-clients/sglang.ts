import * as z from 'zod';
import { type ClientFigures, requestsOfLists } from './figures.ts';
import { rateOf, spreadOf } from './vllm.ts';

const some = z.number().nullish().catch(null);
const list = z.array(z.number()).optional().catch(undefined);

/**
 * A line of the file of `python -m sglang.bench_serving --output-file` (SGLang 0.5.23, sglang/benchmark/serving.py): a
 * run each. `--output-details` adds lists with a value for each request. It does not count failed requests.
 */
const sglangSchema = z.looseObject({
  backend: z.string(),
  dataset_name: z.string().nullish(),
  request_rate: z.union([z.number(), z.string()]).nullish(),
  max_concurrency: some,
  duration: z.number(),
  completed: z.number(),
  total_input_tokens: some,
  total_output_tokens: some,
  request_throughput: z.number(),
  output_throughput: z.number(),
  total_throughput: some,
  median_e2e_latency_ms: z.number(),
  median_ttft_ms: z.number(),
  ttfts: list,
  output_lens: list,
  itls: z.array(z.array(z.number())).optional().catch(undefined),
  errors: z.array(z.string().nullable()).optional().catch(undefined),
});

/** The figures of such a line; undefined when it is none. */
export function readSglang(value: unknown): ClientFigures | undefined {
  const found = sglangSchema.safeParse(value).data;
  if (!found) return undefined;
  const requests = requestsOfLists(found);
  return {
    concurrency: found.max_concurrency ?? null,
    requestRate: rateOf(found.request_rate),
    completed: found.completed,
    failed: requests?.filter(({ failed }) => failed).length ?? null,
    durationS: found.duration,
    inputTokens: found.total_input_tokens,
    outputTokens: found.total_output_tokens,
    requestThroughput: found.request_throughput,
    outputThroughput: found.output_throughput,
    totalThroughput: found.total_throughput ?? null,
    ttftMs: spreadOf(found, 'ttft'),
    tpotMs: spreadOf(found, 'tpot'),
    itlMs: spreadOf(found, 'itl'),
    e2elMs: spreadOf(found, 'e2e_latency'),
    requests,
  };
}
