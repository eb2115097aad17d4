import { access } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { removeCredentials } from '../../coordinator/bus-server/credentials.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import { isOver, type JobOnDisk, listJobs, readJob, readState } from './job-dir.ts';

/** A directory of outputs may hold years of jobs; keys are left behind by late ones. */
const MOST_JOBS = 500;

/**
 * Removes the keys of one's own jobs that are over: a coordinator removes them itself, unless it was killed together
 * with `apply`. Names the jobs.
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

/** Whether a local job of another machine still runs cannot be seen from here. */
async function isKnownToBeOver(job: JobOnDisk): Promise<boolean> {
  const state = await readState(job);
  if (job.spec.mode === 'local' && state?.sweep !== 'finished' && state?.home?.host !== hostname())
    return false;
  return isOver(job);
}
