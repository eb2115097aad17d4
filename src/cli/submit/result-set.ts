import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPointResults } from '../../coordinator/record/point-results.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import type { PointResult } from '../../messages/job-directory/result.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import { type JobOnDisk, listJobs, readJob, readState } from '../jobs/job-dir.ts';

/**
 * Identifies results: the points with their whole recipes, on real or simulated engines, here or on Slurm.
 * The way to run the points (order, reaction to a failure) and the job's labels do not matter.
 */
export async function resultSetOf(
  { mode, mock, setupScript }: Pick<JobSpec, 'mode' | 'mock' | 'setupScript'>,
  variant: LoadedVariant,
): Promise<string> {
  const script = setupScript === null ? null : await readFile(setupScript, 'utf8').catch(() => setupScript);
  const points = variant.points.map(({ name, params, recipe }) => ({ name, params, recipe }));
  const text = JSON.stringify({ mode, mock, script, points }, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return createHash('sha256').update(text).digest('hex');
}

/**
 * The user's newest job below `outputs` with the result of every point of a result set. Only existing result
 * files count, whatever state.json says; a job of another user proves nothing.
 */
export async function findComplete(outputs: string, resultSet: string): Promise<JobOnDisk | undefined> {
  for (const jobId of await listJobs(outputs, { own: true })) {
    const jobDir = join(outputs, jobId);
    const state = await readState({ jobId, jobDir });
    if (state?.resultSet !== resultSet || state.exitCode !== 0 || state.points.length === 0) continue;
    if (!state.points.every(({ status }) => status === 'done')) continue;
    const there = new Set((await readPointResults(jobDir)).filter(isResult).map(({ ordinal }) => ordinal));
    if (state.points.every(({ ordinal }) => there.has(ordinal))) return readJob(jobDir);
    process.stderr.write(
      `srtctl: warning: job ${jobId} finished this recipe, but ${jobDir}/points lacks results, so the job does not count\n`,
    );
  }
  return undefined;
}

const isResult = ({ status, benchmark }: PointResult): boolean =>
  status === 'done' && benchmark !== null && benchmark.valid !== false;

/** Prints that there is nothing to run; for a person or, with `json`, as one line. */
export async function sayComplete(job: JobOnDisk, json: boolean): Promise<void> {
  const { jobId, jobDir, spec } = job;
  const measured = !(await readState(job))?.points.some(({ noFigures }) => noFigures);
  const has = measured
    ? 'every point already has a valid result'
    : 'every point is already done, not all with figures';
  const points = (spec.variant as { points?: unknown[] }).points?.length ?? 0;
  const line = JSON.stringify({ kind: 'complete', jobId, jobDir, name: spec.name, points });
  const text = `${spec.name}: ${has}, in job ${jobId}\n  in       ${jobDir}\n  again    srtctl apply --again …\n`;
  process.stdout.write(json ? `${line}\n` : text);
}
