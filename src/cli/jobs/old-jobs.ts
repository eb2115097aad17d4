import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { jobPaths } from '../../messages/job-directory/files.ts';
import { atATime } from '../../os/at-a-time.ts';
import { SrtctlError } from '../../os/errors.ts';
import { coordinatorOf, type JobOnDisk, listJobs, readJob, readState } from './job-dir.ts';
import { isKnownToBeOver } from './stale-keys.ts';

/** A job that has ended, and may be removed. */
export interface OldJob {
  readonly job: JobOnDisk;
  /** ms since 1970. */
  readonly endedAt: number;
  /** Bytes on the disk. */
  readonly bytes: number;
}

export interface OldJobFilter {
  /** Only jobs that ended before this, ms since 1970. */
  readonly endedBefore?: number | undefined;
  /** Only jobs of at least so many bytes. */
  readonly leastBytes?: number | undefined;
  readonly tag?: string | undefined;
  /** So many of the newest jobs stay, whatever else fits. */
  readonly keep: number;
}

export interface OldJobs {
  readonly old: readonly OldJob[];
  /** Jobs that fit the filter and stay nevertheless, with the reason. */
  readonly kept: readonly { readonly jobId: string; readonly why: string }[];
}

const JOBS_AT_ONCE = 8;
/** A coordinator that has written its last state still needs a moment, and so may what reports a job. */
const JUST_ENDED_MS = 10 * 60_000;

/** This user's ended jobs below an outputs directory that a filter lets through, newest first. */
export async function oldJobs(root: string, filter: OldJobFilter, now: number): Promise<OldJobs> {
  const ids = (await listJobs(root, { own: true })).slice(filter.keep);
  const found: (OldJob | { jobId: string; why: string } | undefined)[] = [];
  await atATime(JOBS_AT_ONCE, ids, async (jobId, at) => {
    const job = await readJob(join(root, jobId));
    if (!job || (filter.tag !== undefined && !job.spec.tags.includes(filter.tag))) return;
    const endedAt = Date.parse((await readState(job))?.updatedAt ?? job.spec.submittedAt);
    if (filter.endedBefore !== undefined && !(endedAt < filter.endedBefore)) return;
    const why = await whyItStays(job, endedAt, now);
    const bytes = why === undefined || filter.leastBytes !== undefined ? await sizeOnDisk(job.jobDir) : 0;
    if (typeof bytes === 'string') found[at] = { jobId, why: bytes };
    else if (bytes < (filter.leastBytes ?? 0)) return;
    else found[at] = why === undefined ? { job, endedAt, bytes } : { jobId, why };
  });
  const all = found.flatMap((each) => each ?? []);
  return {
    old: all.filter((each) => 'job' in each),
    kept: all.filter((each) => 'why' in each),
  };
}

/** Why a job must not be removed; undefined when it may be. */
async function whyItStays(job: JobOnDisk, endedAt: number, now: number): Promise<string | undefined> {
  const { jobDir, jobId, spec } = job;
  const directory = await lstat(jobDir);
  if (!directory.isDirectory()) return 'its directory is a symbolic link';
  if (directory.uid !== process.getuid?.()) return 'its directory belongs to another user';
  if (spec.jobId !== jobId || basename(jobDir) !== jobId)
    return 'its directory has another name than the job';
  if (!(await isKnownToBeOver(job))) return 'it runs, or it is not known to have ended';
  if (spec.mode === 'local' && (await coordinatorOf(job)) !== undefined) return 'its coordinator still runs';
  if (now - endedAt < JUST_ENDED_MS) return `it ended less than ${JUST_ENDED_MS / 60_000} minutes ago`;
  return undefined;
}

/** The bytes below a directory, without what symbolic links lead to; a text when it must not be removed. */
async function sizeOnDisk(jobDir: string): Promise<number | string> {
  const { dev } = await lstat(jobDir);
  let bytes = 0;
  const directories = [jobDir];
  for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
    const directory = next;
    for (const entry of await readdir(directory)) {
      const found = await lstat(join(directory, entry));
      if (found.dev !== dev) return `another file system is mounted at ${join(directory, entry)}`;
      bytes += found.blocks * 512;
      if (found.isDirectory()) directories.push(join(directory, entry));
    }
  }
  return bytes;
}

/**
 * Removes a job's directory. What makes it a job goes last, so that an interrupted removal can be repeated. Symbolic links
 * are removed, and not followed.
 * @throws SrtctlError when the job has become one that must stay
 */
export async function removeJob({ job, endedAt }: OldJob, now: number): Promise<void> {
  const why = await whyItStays(job, endedAt, now);
  if (why !== undefined) throw new SrtctlError('job-stays', `${job.jobId} stays: ${why}`);
  const { jobDir, jobId } = job;
  const { spec, state } = jobPaths(jobDir, jobId);
  const last = [state, spec];
  for (const name of await readdir(jobDir)) {
    const path = join(jobDir, name);
    if (!last.includes(path)) await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
  for (const path of last) await rm(path, { force: true });
  await rmdir(jobDir);
}
