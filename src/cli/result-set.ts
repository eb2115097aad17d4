import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobSpec } from '../messages/job-files.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import { type JobOnDisk, listJobs, readJob, readState } from './job-dir.ts';

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

/** The newest job below `outputs` that has a valid result for every point of a result set. */
export async function findComplete(outputs: string, resultSet: string): Promise<JobOnDisk | undefined> {
  for (const jobId of await listJobs(outputs)) {
    const state = await readState({ jobId, jobDir: join(outputs, jobId) });
    if (state?.resultSet !== resultSet || state.exitCode !== 0) continue;
    if (state.points.every(({ status }) => status === 'done')) return readJob(join(outputs, jobId));
  }
  return undefined;
}

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
