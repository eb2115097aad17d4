import * as z from 'zod';
import { accuracyResultSchema } from './accuracy-result.ts';
import { problemSchema, servingResultSchema } from './serving-result.ts';

/** Benchmarks that may succeed without figures. */
const FREE_TYPES: readonly string[] = ['custom', 'manual'];

/**
 * The result of a point's benchmark. `valid`: true when its figures count; false when the point has failed,
 * for `reason`; null when the benchmark succeeded without figures, so there is nothing to validate. (Jobs of
 * releases before null have true there: that is read as null.)
 */
export const benchmarkResultSchema = z
  .object({
    type: z.string(),
    valid: z.boolean().nullable(),
    reason: z.string().optional(),
    /** All reasons, of sa-bench; without a concurrency: of the whole benchmark. */
    reasons: z.array(problemSchema.extend({ concurrency: z.number().int().optional() })).optional(),
    /** The benchmark did not finish: `serving` has the completed part, which is never valid. */
    partial: z.boolean().optional(),
    serving: z.array(servingResultSchema),
    /** What evaluations found, one for each task. */
    accuracy: z.array(accuracyResultSchema).optional(),
    /** Files of the benchmark, relative to the point's directory. */
    artifacts: z.array(z.string()),
  })
  .transform((result) => {
    if (!result.valid) return result;
    if (result.partial) return { ...result, valid: false };
    return result.serving.length === 0 && FREE_TYPES.includes(result.type)
      ? { ...result, valid: null }
      : result;
  });
export type BenchmarkResult = z.infer<typeof benchmarkResultSchema>;

/** The load generator writes progress.json (atomically) in the point's directory during its run. */
export const benchmarkProgressSchema = z.object({
  /** "warmup" | "measure" | "done" */
  stage: z.enum(['warmup', 'measure', 'done']),
  concurrency: z.number().int(),
  /** Position in the list of concurrencies, from 1, and its length. */
  step: z.number().int(),
  steps: z.number().int(),
  requestsDone: z.number().int(),
  requestsTotal: z.number().int(),
  failed: z.number().int(),
  outputThroughput: z.number(),
  /** Means of the stage's answers so far, ms; not before the first one with output has ended. */
  ttftMs: z.number().optional(),
  itlMs: z.number().optional(),
  /** Requests in flight, and chunks with text in this stage: they show whether the engine makes progress. */
  inFlight: z.number().int().optional(),
  chunks: z.number().int().optional(),
  /** When the first measured request of the benchmark was sent, ms since 1970; not before it is. */
  measuredSince: z.number().optional(),
});
export type BenchmarkProgress = z.infer<typeof benchmarkProgressSchema>;

/** Why a point failed: the first failure, its place, and the end of the log that explains it. */
export const causeSchema = z.object({
  /** One sentence for a person. */
  summary: z.string(),
  node: z.string().optional(),
  process: z.string().optional(),
  exitCode: z.number().int().nullable().optional(),
  signal: z.string().nullable().optional(),
  logFile: z.string().optional(),
  /** Last lines of that process's log, at most 50. */
  logTail: z.array(z.string()).optional(),
  /** The log line that explains the failure. */
  error: z.string().optional(),
  /** Its entry in the catalogue of known failures, the meaning, and what to do. */
  signature: z.string().optional(),
  says: z.string().optional(),
  advice: z.string().optional(),
  /** Processes that ended because of it. */
  followed: z.array(z.string()).optional(),
});
export type Cause = z.infer<typeof causeSchema>;

/** Whether a worker's caches were flushed before the measurement, and how, or why not. */
export const cacheRecordSchema = z.object({ process: z.string(), flushed: z.boolean(), why: z.string() });
export type CacheRecord = z.infer<typeof cacheRecordSchema>;

/** A worker ended while it was wanted, and started again in the same place (`roles.<mode>.restart`). */
export const workerRestartSchema = z.object({
  /** `decode-1` */
  endpoint: z.string(),
  /** The process that ended first. */
  process: z.string(),
  node: z.string(),
  /** The number of the restart of this endpoint in the job, from 1. */
  restart: z.number().int().positive(),
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  why: z.string(),
  /** When its end was noticed. */
  at: z.string(),
  /** How long it did not run on purpose, ms. */
  delayMs: z.number().int().nonnegative(),
  /** null: the point was over before it started again. */
  startedAt: z.string().nullable(),
  /** From its end until all its processes were ready again; null: they were not, before the point was over. */
  backAfterMs: z.number().nullable(),
  /** The log of the process that ended. */
  logFile: z.string(),
  /** Requests were being measured while it was away. */
  measured: z.boolean().optional(),
});
export type WorkerRestart = z.infer<typeof workerRestartSchema>;

/** A worker that the recipe's experiment had killed. */
export const workerKillSchema = z.object({
  /** `decode-1` */
  endpoint: z.string(),
  process: z.string(),
  node: z.string(),
  signal: z.string(),
  /** Seconds from the begin of the measured window, as the recipe says. */
  after: z.number(),
  at: z.string(),
  /** false: it did not run then. */
  done: z.boolean(),
});
export type WorkerKill = z.infer<typeof workerKillSchema>;

export const pointStatusSchema = z.enum(['done', 'failed', 'interrupted']);

/**
 * points/<nn>-<name>/entry.json: where clients find the deployment of a point; serving.json: the same, of one that stays
 * up until it is stopped.
 */
export const servingSchema = z.object({
  v: z.literal(1),
  node: z.string(),
  host: z.string(),
  port: z.number().int(),
  model: z.string(),
});
export type Serving = z.infer<typeof servingSchema>;

/** points/<nn>-<name>/result.json */
export const pointResultSchema = z.object({
  v: z.literal(1),
  job: z.string(),
  ordinal: z.number().int(),
  name: z.string(),
  params: z.record(z.string(), z.unknown()).nullable(),
  /** From 1; the files of earlier attempts are in attempt-1, attempt-2, … beside result.json. */
  attempt: z.number().int().positive().optional(),
  status: pointStatusSchema,
  /** The deployment was up until it was stopped, as `apply --serve-only` asks for. */
  outcome: z.literal('served').optional(),
  startedAt: z.string(),
  benchmarkStartedAt: z.string().nullable(),
  finishedAt: z.string(),
  /** One for each worker; null when the point did not get so far. */
  caches: z.array(cacheRecordSchema).nullish(),
  benchmark: benchmarkResultSchema.nullable(),
  cause: causeSchema.nullable(),
  /** Unsupported options, without which the result is valid; a line for each. */
  notDone: z.array(z.string()).optional(),
  /** Processes that ended while they were wanted, and that the run could do without (`critical: false`). */
  lost: z.array(causeSchema).optional(),
  /** Workers that ended and started again. */
  worker_restarts: z.array(workerRestartSchema).optional(),
  /** Workers that the experiment had killed. */
  worker_kills: z.array(workerKillSchema).optional(),
});
export type PointResult = z.infer<typeof pointResultSchema>;

/** Status of a point that succeeded without figures, in every view. */
const WITHOUT_FIGURES = 'done, no figures';

/** A point's status for people. `partial`: its benchmark did not finish, but left figures. */
export function statusOf(status: string, noFigures: boolean | undefined, partial?: boolean): string {
  if (status === 'done') return noFigures ? WITHOUT_FIGURES : status;
  return partial ? `${status}, partial figures` : status;
}

/** A result's status for people. */
export const statusOfResult = (result: PointResult): string =>
  result.outcome ?? statusOf(result.status, hasNoFigures(result), result.benchmark?.partial);

/** Whether a point succeeded without figures. */
export const hasNoFigures = ({ status, benchmark }: Pick<PointResult, 'status' | 'benchmark'>): boolean =>
  status === 'done' && benchmark !== null && benchmark.valid === null;

/** What state.json says of a point whose result is on disk. */
export const doneEntry = (result: PointResult) => ({
  state: 'done' as const,
  status: 'done' as const,
  ...(hasNoFigures(result) ? { noFigures: true } : {}),
});

/** How far a sweep is. */
export const sweepProgressSchema = z.object({
  points: z.number().int(),
  done: z.number().int(),
  failed: z.number().int(),
  left: z.number().int(),
  /** How long a point takes, ms: the mean of those that ended; null before the first has. */
  meanPointMs: z.number().nullable(),
  /** ISO 8601. */
  expectedEndAt: z.string().nullable(),
});
export type SweepProgress = z.infer<typeof sweepProgressSchema>;
