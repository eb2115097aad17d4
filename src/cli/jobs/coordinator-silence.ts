import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ALIVE_EVERY_MS, aliveFile } from '../../coordinator/record/alive-file.ts';
import { readStateFile } from '../../coordinator/record/state-file.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import type { Cause } from '../../messages/job-directory/result.ts';

/** A coordinator with an older file may be lost, ms: six of its intervals, as for its agents. */
const SILENT_MS = 6 * ALIVE_EVERY_MS;
/**
 * A file that looks old is watched for this long, ms, because the clocks of a login node and of a file server
 * may differ.
 */
const WATCHED_MS = ALIVE_EVERY_MS + 2_000;

export interface WatchedJob {
  readonly jobId: string;
  readonly jobDir: string;
  readonly spec: Pick<JobSpec, 'mode'>;
}

/**
 * Detects a silent coordinator of a Slurm job: its head node may be lost, and the files with the job's state
 * are old. null when it shows signs of life, has not started yet, or has ended in good order.
 * @param watchedMs how long to watch an old file, for tests
 */
export async function silenceOf(job: WatchedJob, watchedMs = WATCHED_MS): Promise<Cause | null> {
  if (job.spec.mode !== 'slurm') return null;
  const path = aliveFile(job.jobDir);
  const ageMs = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  if (ageMs < SILENT_MS) return null;
  const before = await contentOf(path);
  await sleep(watchedMs);
  if (before === undefined || (await contentOf(path)) !== before) return null;
  const head = (await readStateFile(jobPaths(job.jobDir, job.jobId).state))?.home?.host;
  return {
    summary: `the coordinator${head === undefined ? '' : ` on the head node ${head}`} has given no sign of life for ${Math.round((ageMs + watchedMs) / 1_000)} s`,
    ...(head === undefined ? {} : { node: head }),
    advice: `check whether ${head ?? 'its node'} is up (sinfo -N -l); the other nodes end the job when their leases are over, and \`srtctl cancel ${job.jobId}\` ends it now`,
  };
}

/** Opens the file anew each time, because NFS then asks the server again. */
const contentOf = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch(() => undefined);
