import * as z from 'zod';
import { WIRE_VERSION } from './events.ts';

const v = z.literal(WIRE_VERSION);
const count = z.number().int().nonnegative();
/** ms since 1970. */
const time = z.number().int().nonnegative();

/** A value of a series. JSON has no number for the three texts. null: the series has ended. */
export const sampleValueSchema = z.union([z.number(), z.enum(['NaN', '+Inf', '-Inf']), z.null()]);
export type SampleValue = z.infer<typeof sampleValueSchema>;

export const seriesTypeSchema = z.enum(['counter', 'gauge', 'histogram', 'summary', 'unknown']);
export type SeriesType = z.infer<typeof seriesTypeSchema>;

/** What a series is, and its value. */
export const seriesSchema = z.object({
  /** Unique for one incarnation of an agent, and never used again. */
  id: count,
  /** The process whose /metrics has it; absent: the agent read it from the node or its GPUs. */
  process: z.string().optional(),
  /** The name in Prometheus' format, such as `vllm:num_requests_running`, `node_cpu_seconds_total` or `gpu_power_watts`. */
  name: z.string(),
  /** The type of its family: parts of a histogram (`_bucket`, `_sum`, `_count`) are `histogram`. */
  type: seriesTypeSchema,
  labels: z.record(z.string(), z.string()),
  value: sampleValueSchema,
});
export type Series = z.infer<typeof seriesSchema>;

/**
 * Series with their values at `at`. An agent sends new series when they appear, and all of its series again and again
 * within 30 s, in parts, so that a late reader learns what the ids mean and a lost batch does no lasting harm.
 */
export const telemetrySeriesSchema = z.object({
  v,
  node: z.string(),
  incarnation: z.string(),
  at: time,
  series: z.array(seriesSchema),
});
export type TelemetrySeries = z.infer<typeof telemetrySeriesSchema>;

/**
 * The samples of one moment: only values that differ from those of the batch before. An agent sends a batch for each
 * interval, also when nothing has changed.
 */
export const telemetrySamplesSchema = z.object({
  v,
  node: z.string(),
  incarnation: z.string(),
  /** When the samples were taken: a multiple of the interval. */
  at: time,
  intervalMs: z.number().int().positive(),
  /** The number of the batch, from 1: a gap shows a lost one. */
  seq: z.number().int().positive(),
  /** Runs of series with successive ids: the id of the first one, and the values of it and those after it. */
  samples: z.array(z.tuple([count], sampleValueSchema)),
});
export type TelemetrySamples = z.infer<typeof telemetrySamplesSchema>;

/** Asks an agent to send all of its series now; it answers with their number. */
export const describeRequestSchema = z.object({ v });
export const describeReplySchema = z.object({ v, series: count });
export type DescribeReply = z.infer<typeof describeReplySchema>;

/** The coordinator asks an agent for the power of its node during windows of time, ms since 1970. */
export const powerRequestSchema = z.object({
  v,
  windows: z.array(z.object({ from: z.number(), to: z.number() })),
});
const powerSchema = z.object({ meanW: z.number(), peakW: z.number() });
/** Of each GPU by its index, and of the node, as far as they say it. */
export const windowPowerSchema = z.object({
  gpus: z.array(powerSchema.extend({ gpu: count })),
  node: powerSchema.nullable(),
});
export type WindowPower = z.infer<typeof windowPowerSchema>;
/** In the order of the request. */
export const powerReplySchema = z.object({ v, windows: z.array(windowPowerSchema) });
export type PowerReply = z.infer<typeof powerReplySchema>;

/** The coordinator tells all agents that a point is over: they close their logs of telemetry and pack them. */
export const telemetryPackSchema = z.object({ v });
