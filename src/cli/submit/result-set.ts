import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPointResults } from '../../coordinator/record/read-results.ts';
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
  // Where a run is reported says nothing about its results.
  const points = variant.points.map(({ name, params, recipe: { reporting: _, ...recipe } }) => ({
    name,
    params,
    recipe,
  }));
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

/** Jobs at which `tookBefore` looks, the newest first. */
const MOST_JOBS = 200;

/**
 * How long the points of a variant took in the newest job that has run them all on real engines; undefined when none
 * has.
 */
export async function tookBefore(
  outputs: string,
  variant: LoadedVariant,
): Promise<{ job: string; ms: number } | undefined> {
  const jobs = (await listJobs(outputs, { own: true })).slice(0, MOST_JOBS);
  if (jobs.length === 0) return undefined;
  const setupScript = variant.points.find(({ recipe }) => recipe.setup_script)?.recipe.setup_script ?? null;
  const resultSet = await resultSetOf({ mode: 'slurm', mock: false, setupScript }, variant);
  for (const jobId of jobs) {
    const state = await readState({ jobId, jobDir: join(outputs, jobId) });
    if (state?.resultSet !== resultSet || state.points.length === 0) continue;
    const took = state.points.map(({ status, tookMs }) => (status === 'done' ? tookMs : undefined));
    if (took.every((ms) => ms !== undefined))
      return { job: jobId, ms: took.reduce((sum, ms) => sum + ms, 0) };
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
