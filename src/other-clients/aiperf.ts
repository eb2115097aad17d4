import * as z from 'zod';
import type { ClientFigures, Spread } from './figures.ts';

const some = z.number().nullish();
const metricSchema = z
  .object({
    unit: z.string(),
    ...{ avg: some, min: some, max: some, std: some, p1: some, p5: some, p10: some, p25: some, p50: some },
    ...{ p75: some, p90: some, p95: some, p99: some },
  })
  .optional()
  .catch(undefined);

/**
 * profile_export_aiperf.json (aiperf 0.13.0, common/models/export_models.py): an object with a block of statistics for
 * each metric. Scalars are in `avg`. Its `inter_token_latency` is the mean gap of a request, which others call TPOT.
 */
const aiperfSchema = z.object({
  schema_version: z.string().optional(),
  aiperf_version: z.string().nullish(),
  input_config: z.unknown(),
  was_cancelled: z.boolean().nullish(),
  is_complete: z.boolean().nullish(),
  incomplete_reason: z.string().nullish(),
  request_throughput: z.object({ unit: z.string(), avg: some }),
  request_latency: z.object({ unit: z.string() }).loose(),
  request_count: metricSchema,
  completed_request_count: metricSchema,
  error_request_count: metricSchema,
  benchmark_duration: metricSchema,
  output_token_throughput: metricSchema,
  total_token_throughput: metricSchema,
  output_token_throughput_per_user: metricSchema,
  time_to_first_token: metricSchema,
  inter_token_latency: metricSchema,
  inter_chunk_latency: metricSchema,
  total_isl: metricSchema,
  total_osl: metricSchema,
});

/** The figures of such a file, with the version that wrote it; undefined when it is none. */
export function readAiperf(value: unknown): { figures: ClientFigures; version: string | null } | undefined {
  const found = aiperfSchema.safeParse(value).data;
  if (!found) return undefined;
  const latency = metricSchema.parse(found.request_latency);
  const doubts = [
    ...(found.was_cancelled ? ['the run was cancelled'] : []),
    ...(found.is_complete === false ? [`the run is not complete: ${found.incomplete_reason ?? ''}`] : []),
  ];
  const failed = found.error_request_count?.avg ?? 0;
  return {
    version: found.aiperf_version ?? null,
    figures: {
      concurrency: numberIn(found.input_config, 'concurrency'),
      requestRate: numberIn(found.input_config, 'request_rate') ?? numberIn(found.input_config, 'rate'),
      completed: found.completed_request_count?.avg ?? found.request_count?.avg ?? 0,
      failed,
      durationS: inSeconds(found.benchmark_duration),
      requestThroughput: found.request_throughput.avg ?? null,
      outputThroughput: found.output_token_throughput?.avg ?? null,
      totalThroughput: found.total_token_throughput?.avg ?? null,
      outputPerUser: found.output_token_throughput_per_user?.p50 ?? undefined,
      inputTokens: found.total_isl?.avg,
      outputTokens: found.total_osl?.avg,
      ttftMs: spreadOf(found.time_to_first_token),
      tpotMs: spreadOf(found.inter_token_latency),
      itlMs: spreadOf(found.inter_chunk_latency),
      e2elMs: spreadOf(latency),
      doubts,
    },
  };
}

type Metric = z.infer<typeof metricSchema>;

const TO_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, ms: 1, s: 1_000, sec: 1_000 };

function spreadOf(metric: Metric): Spread {
  const factor = TO_MS[metric?.unit ?? ''];
  if (!metric || factor === undefined) return {};
  const { unit: _, avg: mean, p50: median, ...others } = metric;
  return Object.fromEntries(
    Object.entries({ mean, median, ...others }).flatMap(([name, value]) =>
      value == null ? [] : [[name, value * factor]],
    ),
  );
}

const inSeconds = (metric: Metric): number | null =>
  metric?.avg == null ? null : (metric.avg * (TO_MS[metric.unit] ?? 1_000)) / 1_000;

/** The first number of this name: releases keep the load in different places of the configuration. */
function numberIn(value: unknown, name: string): number | null {
  if (typeof value !== 'object' || value === null) return null;
  const own = (value as Record<string, unknown>)[name];
  if (typeof own === 'number') return own;
  for (const below of Object.values(value)) {
    const found = numberIn(below, name);
    if (found !== null) return found;
  }
  return null;
}
