import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import type * as z from 'zod';
import { jobPaths } from '../coordinator/files.ts';
import { SrtctlError } from '../errors.ts';
import { eventSchema, type SrtEvent } from '../messages/events.ts';
import {
  type Connection,
  connectionSchema,
  type JobSpec,
  type JobState,
  jobSpecSchema,
  jobStateSchema,
} from '../messages/job-files.ts';

/** A job as its directory shows it. */
export interface JobOnDisk {
  readonly jobId: string;
  readonly jobDir: string;
  readonly spec: JobSpec;
}

export const outputsRoot = (told?: string): string => resolve(told ?? process.env.SRTCTL_OUTPUT ?? 'outputs');

/** Ids of the jobs below the outputs directory, newest first. */
export async function listJobs(root: string): Promise<string[]> {
  const names = existsSync(root) ? await readdir(root) : [];
  const jobs = names.filter((name) => existsSync(join(root, name, `${name}.json`)));
  const dated = await Promise.all(
    jobs.map(async (name) => ({ name, at: (await stat(join(root, name, `${name}.json`))).mtimeMs })),
  );
  return dated.sort((a, b) => b.at - a.at).map(({ name }) => name);
}

/** Finds a job by its id, the path of its directory, or `latest`. Throws with what there is. */
export async function findJob(told: string, root: string): Promise<JobOnDisk> {
  const jobs = await listJobs(root);
  const [newest] = jobs;
  const path =
    told === 'latest' && newest
      ? join(root, newest)
      : existsSync(join(root, told))
        ? join(root, told)
        : resolve(told);
  const jobId = basename(path);
  const spec = await readAs(jobPaths(path, jobId).spec, jobSpecSchema);
  if (spec) return { jobId, jobDir: path, spec };
  const nearest = jobs.toSorted((a, b) => distance(told, a) - distance(told, b))[0];
  throw new SrtctlError('job-not-found', `there is no job ${told} in ${root}`, {
    hint: nearest
      ? `the nearest is ${nearest}, the newest ${newest}`
      : 'there is none at all; --output names another directory',
  });
}

/** Reads a JSON file; undefined when it is not there (yet) or not what it should be. */
async function readAs<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch {
    return undefined;
  }
}

export const readState = ({
  jobDir,
  jobId,
}: Pick<JobOnDisk, 'jobDir' | 'jobId'>): Promise<JobState | undefined> =>
  readAs(jobPaths(jobDir, jobId).state, jobStateSchema);

export const readConnection = ({
  jobDir,
  jobId,
}: Pick<JobOnDisk, 'jobDir' | 'jobId'>): Promise<Connection | undefined> =>
  readAs(jobPaths(jobDir, jobId).connection, connectionSchema);

/** All complete lines of events.jsonl; lines that are not events are passed over. */
export async function readEvents({
  jobDir,
  jobId,
}: Pick<JobOnDisk, 'jobDir' | 'jobId'>): Promise<SrtEvent[]> {
  const text = await readFile(jobPaths(jobDir, jobId).events, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      const event = eventSchema.safeParse(JSON.parse(line)).data;
      return event ? [event] : [];
    } catch {
      return [];
    }
  });
}

/** true when a pid is the coordinator of this job (and not somebody who has the number now). */
export async function isCoordinator(pid: number, { jobDir }: Pick<JobOnDisk, 'jobDir'>): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return line.split('\0').some((word) => word.includes('coordinator')) && line.includes(jobDir);
}

/** A local job is over when it says so or its coordinator is gone. */
export async function isOver(job: JobOnDisk): Promise<boolean> {
  const state = await readState(job);
  if (!state) return false;
  if (state.sweep === 'finished') return true;
  return job.spec.mode === 'local' && !(await isCoordinator(state.coordinatorPid, job));
}
