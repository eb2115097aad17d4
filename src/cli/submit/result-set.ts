import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPointResults } from '../../coordinator/record/point-results.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import type { PointResult } from '../../messages/job-directory/result.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import { type JobOnDisk, listJobs, readJob, readState } from '../jobs/job-dir.ts';

/**
 * What results are the results of: the points with their whole recipes, on real or simulated engines, here or on Slurm. How
 * the points are run (order, what follows a failure) and how the job is marked makes no other results.
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
 * The user's newest job below `outputs` that has the result of every point of a result set. The results themselves count:
 * what state.json says of results that are gone is worth nothing, and somebody else's job proves nothing.
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
      `srtctl: warning: job ${jobId} says that it finished this recipe, and ${jobDir}/points lacks results: it does not count\n`,
    );
  }
  return undefined;
}

const isResult = ({ status, benchmark }: PointResult): boolean =>
  status === 'done' && benchmark !== null && benchmark.valid !== false;

/** Says that there is nothing to run; for a person or, with `json`, as one line. */
export async function sayComplete(job: JobOnDisk, json: boolean): Promise<void> {
  const { jobId, jobDir, spec } = job;
  const measured = !(await readState(job))?.points.some(({ noFigures }) => noFigures);
  const has = measured
    ? 'every point has a valid result already'
    : 'every point is done already, not all with figures';
  const points = (spec.variant as { points?: unknown[] }).points?.length ?? 0;
  const line = JSON.stringify({ kind: 'complete', jobId, jobDir, name: spec.name, points });
  const text = `${spec.name}: ${has}, in job ${jobId}\n  in       ${jobDir}\n  again    srtctl apply --again …\n`;
  process.stdout.write(json ? `${line}\n` : text);
}
