import * as z from 'zod';
import { loadSchema, workloadSchema } from './workload.ts';

const more = z.number().optional();

/**
 * Figures of one distribution, in ms unless its field says otherwise. `median` is the 50th percentile, `std` the
 * standard deviation of the population, `p999` the 99.9th percentile. Results of older releases have fewer.
 */
export const distributionSchema = z.object({
  mean: z.number(),
  median: z.number(),
  p90: z.number(),
  p95: z.number(),
  p99: z.number(),
  std: z.number(),
  min: z.number(),
  max: z.number(),
  p1: more,
  p5: more,
  p10: more,
  p25: more,
  p75: more,
  p999: more,
  /** Number of values; with 0 all other figures are 0. */
  count: z.number().int().optional(),
  /** Percentiles that one value in the tail decides, because there are too few: p99 needs 100, p999 1,000. */
  tooFew: z.array(z.string()).optional(),
});
export type Distribution = z.infer<typeof distributionSchema>;

/** What was completed in each interval of `seconds`, from the first measured request on. Failed requests have no tokens. */
const ratesSchema = z.object({
  /** When it begins, ms since 1970. */
  since: z.number(),
  seconds: z.number().positive(),
  completed: z.array(z.number().int()),
  failed: z.array(z.number().int()),
  outputTokens: z.array(z.number()),
});
export type Rates = z.infer<typeof ratesSchema>;

const throughputsShape = {
  requestThroughput: z.number(),
  inputThroughput: z.number(),
  outputThroughput: z.number(),
  totalThroughput: z.number(),
};

/** Rates per second while the full load was on, or null for the reason `why`. */
const steadySchema = z.union([
  z.object({
    /** Begin and end, in s from the first request sent. */
    fromS: z.number(),
    toS: z.number(),
    ...throughputsShape,
  }),
  z.object({ why: z.string() }),
]);
export type Steady = z.infer<typeof steadySchema>;

/** GPUs of the deployment's workers. `prefill` and `decode` are null without disaggregation. */
export const gpusSchema = z.object({
  total: z.number().int().positive(),
  prefill: z.number().int().positive().nullable(),
  decode: z.number().int().positive().nullable(),
});
export type Gpus = z.infer<typeof gpusSchema>;

/** Tokens per second and GPU over the whole run. The name says which tokens, and which GPUs they are divided by. */
const perGpuSchema = z.object({
  gpus: gpusSchema,
  outputPerGpu: z.number(),
  inputPerGpu: z.number(),
  totalPerGpu: z.number(),
  inputPerPrefillGpu: z.number().nullable(),
  outputPerDecodeGpu: z.number().nullable(),
});

/** Requests within all limits that the recipe sets, in ms. */
export const sloSchema = z.object({
  ttftMs: z.number().positive().optional(),
  tpotMs: z.number().positive().optional(),
  e2elMs: z.number().positive().optional(),
});
export type Slo = z.infer<typeof sloSchema>;
const goodputSchema = z.object({
  slo: sloSchema,
  requests: z.number().int(),
  /** Of all requests, failed ones included. */
  share: z.number(),
  requestThroughput: z.number(),
  outputThroughput: z.number(),
});

/** A figure that the engines state; null: they do not, for the reason `why`. */
const statedSchema = z.object({ value: z.number().nullable(), why: z.string().optional() });
const gaugeSchema = z.object({
  mean: z.number().nullable(),
  max: z.number().nullable(),
  why: z.string().optional(),
});

/** What the engines' own metrics say of the measured window. */
const engineSchema = z.object({
  /** Requests that lost their place in a batch and had to be computed again. */
  preemptions: statedSchema,
  /** Used share of the KV cache, 0 to 1: mean over time and workers, and the fullest worker. */
  kvCacheUsage: gaugeSchema,
  /** Requests that waited in the engines, all workers together. */
  queue: gaugeSchema,
  /** Tokens of a step of speculative decoding, the engine's own included. */
  acceptanceLength: statedSchema,
  /** Accepted share of the drafted tokens. */
  acceptanceRate: statedSchema,
  /** Processes that are not those of the begin of the window. */
  restarted: z.array(z.string()),
});
export type EngineFigures = z.infer<typeof engineSchema>;

const wattsShape = { meanW: z.number(), peakW: z.number() };

/** Power and energy of the measured window, by the GPUs' own sensors. */
const powerFiguresSchema = z.object({
  /** GPUs of the workers, as far as they say it. */
  gpus: z.array(z.object({ node: z.string(), gpu: z.number().int(), ...wattsShape })),
  /** Whole nodes of the workers, as far as they say it. */
  nodes: z.array(z.object({ node: z.string(), ...wattsShape })),
  /** All GPUs of the workers together; null where one of them does not say it, for the reason `why`. */
  meanW: z.number().nullable(),
  joules: z.number().nullable(),
  joulesPerOutputToken: z.number().nullable(),
  /** Of completed requests. */
  joulesPerRequest: z.number().nullable(),
  /** Output tokens per second and watt, which are output tokens per joule. */
  outputTokensPerJoule: z.number().nullable(),
  why: z.string().optional(),
});
export type PowerFigures = z.infer<typeof powerFiguresSchema>;

/** A reason for which figures do not count, or a doubt about them. */
export const problemSchema = z.object({
  /** The limit's name in `benchmark.validity`. */
  what: z.string(),
  text: z.string(),
  limit: z.number().nullable(),
  value: z.number(),
});
export type Problem = z.infer<typeof problemSchema>;

const validitySchema = z.object({
  valid: z.boolean(),
  problems: z.array(problemSchema),
  /** What is over its limit without making the figures invalid here. */
  warnings: z.array(problemSchema),
  /** Limits that are not the default ones; null: none. */
  changed: z.array(z.object({ what: z.string(), limit: z.number().nullable(), byDefault: z.number() })),
  /** What could not be judged, and why. */
  unknown: z.array(z.object({ what: z.string(), why: z.string() })),
});
export type Validity = z.infer<typeof validitySchema>;

/** How the load generator itself did during the window. */
const clientSchema = z.object({
  /** Share of a core that each of its threads used, the busiest one. */
  busy: z.number(),
  /** How much later than wanted its event loop came back, in ms. */
  delayP99Ms: z.number(),
  delayMaxMs: z.number(),
  /** How far the wall clock went apart from the monotonic one, in ms. */
  clockStepMs: z.number(),
});
export type ClientFigures = z.infer<typeof clientSchema>;

/**
 * Measurements of a serving benchmark at one concurrency. Times in ms, rates per second, counts in tokens.
 * docs/reference/benchmarks.md defines each.
 */
export const servingResultSchema = z.object({
  concurrency: z.number().int().positive(),
  /** Configured requests per second; null = as fast as concurrency allows ("inf"). */
  requestRate: z.number().nullable(),
  isl: z.number().int(),
  osl: z.number().int(),
  requests: z.number().int(),
  completed: z.number().int(),
  failed: z.number().int(),
  /** The first few distinct errors of failed requests. */
  errors: z.array(z.string()),
  durationS: z.number(),
  /** The measured window: from the first request to the last answer, ms since 1970. */
  window: z.object({ from: z.number(), to: z.number() }).optional(),
  inputTokens: z.number().int(),
  outputTokens: z.number().int(),
  ...throughputsShape,
  ttftMs: distributionSchema,
  tpotMs: distributionSchema,
  itlMs: distributionSchema,
  e2elMs: distributionSchema,
  /** From the time at which the load shape wanted the request; only with a request rate. */
  ttftFromIntendedMs: distributionSchema.optional(),
  e2elFromIntendedMs: distributionSchema.optional(),
  /** How long requests waited in the client. */
  queuedMs: distributionSchema.optional(),
  /** Lengths of prompts and answers in tokens. */
  islReached: distributionSchema.optional(),
  oslReached: distributionSchema.optional(),
  /** Output tokens per second of each request after its first token. */
  outputPerUser: distributionSchema.optional(),
  /** Chunks of answers that carry output, and output tokens of each in the mean. */
  chunks: z.number().int().optional(),
  tokensPerChunk: z.number().nullable().optional(),
  steady: steadySchema.optional(),
  perGpu: perGpuSchema.optional(),
  goodput: goodputSchema.optional(),
  engine: engineSchema.optional(),
  power: powerFiguresSchema.optional(),
  client: clientSchema.optional(),
  /** The program that measured, where it was not srtctl's load generator. */
  measuredBy: z.string().optional(),
  validity: validitySchema.optional(),
  /** It was aborted: the figures are of the requests that ended before. */
  partial: z.boolean().optional(),
  /** Counts by time since the measured window began, in an experiment. */
  rates: ratesSchema.optional(),
  /** Whether each request had a connection of its own. */
  connections: z.enum(['per-request', 'reused']).optional(),
  /** Threads of the load generator that sent and read. */
  clientThreads: z.number().int().optional(),
  /** Clients that measured together, each on a node of its own; absent: one. */
  clients: z.number().int().optional(),
  /** Determines the prompts and the gaps between them. */
  seed: z.number().int().optional(),
  workload: workloadSchema.optional(),
  load: loadSchema.optional(),
  /**
   * Tokens of the measured prompts that came from the engines' caches, by the engines' own counters; null =
   * unknown, for the reason `why`.
   */
  cache: z
    .object({
      hitTokens: z.number().nullable(),
      promptTokens: z.number().nullable(),
      share: z.number().nullable(),
      why: z.string().optional(),
    })
    .optional(),
});
export type ServingResult = z.infer<typeof servingResultSchema>;
