import * as z from 'zod';
import { type ForeignContext, type ForeignFigures, requestsOfLists } from './row.ts';
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
export function readSglang(value: unknown, { mostRequests }: ForeignContext): ForeignFigures | undefined {
  const found = sglangSchema.safeParse(value).data;
  if (!found) return undefined;
  const requestsFile = requestsOfLists(found, mostRequests);
  return {
    concurrency: found.max_concurrency ?? null,
    requestRate: rateOf(found.request_rate),
    completed: found.completed,
    failed: requestsFile?.failed ?? null,
    durationS: found.duration,
    requestThroughput: found.request_throughput,
    outputThroughput: found.output_throughput,
    totalThroughput: found.total_throughput ?? null,
    ttftMs: spreadOf(found, 'ttft'),
    tpotMs: spreadOf(found, 'tpot'),
    itlMs: spreadOf(found, 'itl'),
    e2elMs: spreadOf(found, 'e2e_latency'),
    requestsFile,
  };
}
