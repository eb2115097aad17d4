import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobState } from '../../messages/job-directory/job-files.ts';
import { type Serving, servingSchema } from '../../messages/job-directory/result.ts';
import { SrtctlError } from '../../os/errors.ts';
import { isOver, type JobOnDisk, readState } from './job-dir.ts';

type Point = JobState['points'][number];

/** Where clients reach the deployment of a job's current point. */
export interface JobEntry extends Serving {
  readonly point: Pick<Point, 'ordinal' | 'name' | 'state'>;
}

/** Points whose deployment is up, or comes up. */
const UP: readonly Point['state'][] = ['benchmarking', 'warming', 'deploying', 'collecting'];

/**
 * Where clients reach the deployment that a job has now.
 * @throws SrtctlError when it has none: it has ended, has not begun, is between two points, or has no frontend
 */
export async function entryOf(job: JobOnDisk): Promise<JobEntry> {
  const { jobId } = job;
  if (await isOver(job))
    throw new SrtctlError('not-serving', `job ${jobId} has ended, and its deployment with it`);
  const points = (await readState(job))?.points ?? [];
  const point = UP.flatMap((state) => points.find((each) => each.state === state) ?? [])[0];
  const hint = `srtctl status ${jobId} shows where it stands`;
  if (!point) throw new SrtctlError('not-serving', `job ${jobId} has no deployment now`, { hint });
  const serving = await readEntry(job, point.ordinal);
  if (!serving)
    throw new SrtctlError(
      'not-serving',
      `point ${point.ordinal} ${point.name} of job ${jobId} has no frontend`,
      {
        hint,
      },
    );
  const { ordinal, name, state } = point;
  return { ...serving, point: { ordinal, name, state } };
}

async function readEntry({ jobDir }: JobOnDisk, ordinal: number): Promise<Serving | undefined> {
  const points = join(jobDir, 'points');
  const names = await readdir(points).catch(() => []);
  const own = names.find((name) => Number.parseInt(name, 10) === ordinal);
  if (own === undefined) return undefined;
  try {
    return servingSchema.parse(JSON.parse(await readFile(join(points, own, 'entry.json'), 'utf8')));
  } catch {
    return undefined;
  }
}
