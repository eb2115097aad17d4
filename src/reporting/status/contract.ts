import * as z from 'zod';

/**
 * The status API of srt-slurm: its src/srtctl/contract and docs/status-api-spec.md at c88ef73 (version 1). Readers
 * ignore unknown fields, because collectors and reporters are of different releases.
 */

export const JOB_STATUSES = [
  'submitted',
  'starting',
  'workers',
  'frontend',
  'benchmark',
  'completed',
  'failed',
  'timeout',
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

const text = z.string().nullish();
const record = z.record(z.string(), z.unknown()).nullish();

/** POST /api/jobs */
export const jobCreateSchema = z.object({
  job_id: z.string().min(1).max(500),
  job_name: z.string(),
  /** Times are ISO 8601. */
  submitted_at: z.string(),
  cluster: text,
  recipe: text,
  metadata: record,
});
export type JobCreate = z.infer<typeof jobCreateSchema>;

/** PUT /api/jobs/{job_id}; a collector merges it into what it knows. */
export const jobUpdateSchema = z.object({
  status: z.string().min(1),
  updated_at: text,
  stage: text,
  message: text,
  started_at: text,
  completed_at: text,
  exit_code: z.number().int().nullish(),
  logs_url: text,
  benchmark_results: record,
  metadata: record,
});
export type JobUpdate = z.infer<typeof jobUpdateSchema>;
