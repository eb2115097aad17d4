import { access } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { removeCredentials } from '../../coordinator/bus-server/credentials.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import { isOver, type JobOnDisk, listJobs, readJob, readState } from './job-dir.ts';

/** An outputs directory may hold years of jobs; only recent ones have stale keys. */
const MOST_JOBS = 500;

/**
 * Removes the keys of this user's ended jobs and returns the jobs' names. A coordinator removes them itself,
 * unless it was killed together with `apply`.
 */
export async function removeStaleKeys(root: string): Promise<string[]> {
  const removed: string[] = [];
  for (const jobId of (await listJobs(root, { own: true })).slice(0, MOST_JOBS)) {
    const { connection, credentials } = jobPaths(join(root, jobId), jobId);
    if (!(await isThere(connection)) && !(await isThere(credentials))) continue;
    const job = await readJob(join(root, jobId));
    if (!job || !(await isKnownToBeOver(job))) continue;
    await removeCredentials(job);
    removed.push(jobId);
  }
  return removed;
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Whether a job has ended for certain: a local job of another machine cannot be checked from here. */
export async function isKnownToBeOver(job: JobOnDisk): Promise<boolean> {
  const state = await readState(job);
  if (job.spec.mode === 'local' && state?.sweep !== 'finished' && state?.home?.host !== hostname())
    return false;
  return isOver(job);
}
