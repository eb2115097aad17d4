import { existsSync, statSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { closest } from 'fastest-levenshtein';
import type * as z from 'zod';
import { readStateFile } from '../../coordinator/record/state-file.ts';
import { RESTART_PATIENCE_S } from '../../coordinator/takeover/coordinator-guard.ts';
import { epochFile } from '../../coordinator/takeover/epoch-lock.ts';
import { parseEvents, type SrtEvent } from '../../messages/events/events.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import {
  type Connection,
  connectionSchema,
  type JobSpec,
  type JobState,
  jobSpecSchema,
} from '../../messages/job-directory/job-files.ts';
import { atATime } from '../../os/at-a-time.ts';
import { SrtctlError } from '../../os/errors.ts';
import { hasEndedInSlurm, type QueueEntry } from '../../platform/slurm/queue-entry.ts';
import { findClusterConfig } from '../../recipe/schema/cluster.ts';
import { silenceOf } from './coordinator-silence.ts';

/** A job as stored in its directory. */
export interface JobOnDisk {
  readonly jobId: string;
  readonly jobDir: string;
  readonly spec: JobSpec;
}

/** The directory of jobs, chosen as in `apply`, so that a printed job is found. */
export function outputsRoot(told?: string): string {
  return resolve(told ?? process.env.SRTCTL_OUTPUT ?? sharedOutputs() ?? 'outputs');
}

/** `output_dir` of the cluster; an invalid srtslurm.yaml must not keep a job from being shown. */
function sharedOutputs(): string | undefined {
  try {
    return findClusterConfig(process.env, process.cwd(), () => {}).output_dir ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * Ids of the jobs below the outputs directory, newest first: those of all users who share it, or only `own`
 * ones.
 */
export async function listJobs(root: string, { own = false } = {}): Promise<string[]> {
  const names = await readdir(root).catch(() => []);
  const dated = await Promise.all(
    names.map(async (name) => ({
      name,
      at: await stat(jobPaths(join(root, name), name).spec).then(
        ({ mtimeMs, uid }) => (own && uid !== process.getuid?.() ? undefined : mtimeMs),
        () => undefined,
      ),
    })),
  );
  return dated
    .flatMap(({ name, at }) => (at === undefined ? [] : [{ name, at }]))
    .sort((a, b) => b.at - a.at || b.name.localeCompare(a.name))
    .map(({ name }) => name);
}

/** The job in a directory; undefined when there is no readable one. */
export async function readJob(jobDir: string): Promise<JobOnDisk | undefined> {
  const jobId = basename(jobDir);
  const spec = await readAs(jobPaths(jobDir, jobId).spec, jobSpecSchema);
  return spec && { jobId, jobDir, spec };
}

/**
 * Finds a job by its id, the path of its directory, its name, one of its tags, or `latest`. `latest` is a job of this
 * user, because the command may resume or cancel it.
 * @throws SrtctlError when there is no such job (it names the nearest), or several have the name or tag (it lists them)
 */
export async function findJob(told: string, root: string): Promise<JobOnDisk> {
  const jobs = await listJobs(root);
  const [newest] = told === 'latest' ? await listJobs(root, { own: true }) : [];
  const directory = join(root, newest ?? told);
  for (const jobDir of [directory, resolve(told)]) {
    const job = await readJob(jobDir);
    if (job) return job;
    const { spec } = jobPaths(jobDir, basename(jobDir));
    if (existsSync(spec)) throw new SrtctlError('job-unreadable', `${spec} is not a valid job file`);
  }
  const [only, ...others] = told === 'latest' ? [] : await jobsCalled(told, root, jobs);
  if (only && others.length === 0) return only;
  if (only) throw ambiguous(told, [only, ...others]);
  throw new SrtctlError('job-not-found', `there is no job ${told} in ${root}`, { hint: hintFor(told, jobs) });
}

/** Job files that are read at a time, because an outputs directory may hold years of jobs. */
const READS = 32;

/** Jobs with this name or tag, in the order of `jobs`. */
async function jobsCalled(called: string, root: string, jobs: readonly string[]): Promise<JobOnDisk[]> {
  const found: (JobOnDisk | undefined)[] = [];
  await atATime(READS, jobs, async (jobId, at) => {
    const job = await readJob(join(root, jobId));
    if (job && (job.spec.name === called || job.spec.tags.includes(called))) found[at] = job;
  });
  return found.flatMap((job) => job ?? []);
}

const MOST_CANDIDATES = 8;

function ambiguous(called: string, jobs: readonly JobOnDisk[]): SrtctlError {
  const listed = jobs.slice(0, MOST_CANDIDATES).map(({ jobId }) => jobId);
  const more = jobs.length - listed.length;
  return new SrtctlError('job-ambiguous', `${jobs.length} jobs have the name or tag ${called}`, {
    hint: `give the id of one, newest first: ${listed.join(', ')}${more === 0 ? '' : ` and ${more} more`}`,
  });
}

function hintFor(told: string, jobs: readonly string[]): string {
  const [newest] = jobs;
  if (newest === undefined) return 'the directory has no jobs; --output selects another one';
  const nearest = closest(told, jobs);
  return nearest === newest ? `the newest is ${newest}` : `the nearest is ${nearest}, the newest ${newest}`;
}

/** Reads a JSON file; undefined when it does not exist (yet) or is invalid. */
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
  readStateFile(jobPaths(jobDir, jobId).state);

export const readConnection = ({ jobDir, jobId }: JobOnDisk): Promise<Connection | undefined> =>
  readAs(jobPaths(jobDir, jobId).connection, connectionSchema);

/** The events of a job, from events.jsonl. */
export const readEvents = async ({ jobDir, jobId }: JobOnDisk): Promise<SrtEvent[]> =>
  parseEvents(await readFile(jobPaths(jobDir, jobId).events, 'utf8').catch(() => ''));

/** How long a coordinator may take to start after `apply`. */
const START_MS = 3_000;

/** Pid of a local job's coordinator; undefined when it does not run (any more). */
export async function coordinatorOf(job: JobOnDisk): Promise<number | undefined> {
  const state = await readState(job);
  if (state) return (await isCoordinator(state.coordinatorPid, job)) ? state.coordinatorPid : undefined;
  // It has not written its pid yet.
  const names = await readdir('/proc').catch(() => []);
  for (const pid of names.map(Number).filter(Number.isInteger)) if (await isCoordinator(pid, job)) return pid;
  return undefined;
}

/** Whether a pid is still this job's coordinator, because the kernel reuses pids. */
async function isCoordinator(pid: number, { jobDir, spec }: JobOnDisk): Promise<boolean> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  const names = (dir: string) => words.some((word) => word.startsWith(`${dir}/`));
  return words.some((word) => basename(word) === 'coordinator.js') && (names(spec.jobDir) || names(jobDir));
}

/**
 * A job has ended when its state says so; a local one also when its coordinator is gone, a Slurm job also
 * when Slurm reports its end.
 */
export async function isOver(job: JobOnDisk): Promise<boolean> {
  const state = await readState(job);
  if (state?.sweep === 'finished') return true;
  if (job.spec.mode === 'slurm') {
    const inSlurm = await slurmStateOf(job);
    // After a node's power loss the job stays COMPLETING until Slurm gives up the node, which takes minutes.
    return hasEndedInSlurm(inSlurm) || (inSlurm?.state === 'COMPLETING' && (await silenceOf(job)) !== null);
  }
  if ((await coordinatorOf(job)) !== undefined || isAwaited(state)) return false;
  return state !== undefined || Date.now() - Date.parse(job.spec.submittedAt) > START_MS;
}

/** A killed coordinator is restarted within some seconds; its takeover files are kept that long. */
function isAwaited(state: JobState | undefined): boolean {
  if (state?.home?.host !== hostname()) return false;
  try {
    const { mtimeMs } = statSync(epochFile(state.home.directory));
    // The time may lie in the future when the clock was set back.
    return Math.abs(Date.now() - mtimeMs) < (RESTART_PATIENCE_S + 2) * 1_000;
  } catch {
    return false;
  }
}

/** Minimum interval between two queries to Slurm for a job, however often a caller asks. */
const ASK_SLURM_MS = 2_000;
const asked = new Map<string, { at: number; answer: Promise<QueueEntry | undefined> }>();

/** Queries Slurm once for all jobs that have not ended, for callers that list many. */
export async function askSlurmAbout(jobs: readonly JobOnDisk[]): Promise<void> {
  const open = await Promise.all(
    jobs.map(async (job) =>
      job.spec.mode === 'slurm' && (await readState(job))?.sweep !== 'finished'
        ? [job.spec.slurm?.jobId ?? job.jobId]
        : [],
    ),
  );
  const ids = [...new Set(open.flat())];
  if (ids.length < 2) return;
  const { queryJobs } = await import('../../platform/slurm/queue.ts');
  for (const [id, entry] of await queryJobs(ids))
    asked.set(id, { at: performance.now(), answer: Promise.resolve(entry) });
}

/** The state of a job in Slurm; undefined when Slurm does not answer. */
export async function slurmStateOf({ spec, jobId }: JobOnDisk): Promise<QueueEntry | undefined> {
  const id = spec.slurm?.jobId ?? jobId;
  const before = asked.get(id);
  if (before && performance.now() - before.at < ASK_SLURM_MS) return before.answer;
  const { queryJob } = await import('../../platform/slurm/queue.ts');
  const answer = queryJob(id);
  asked.set(id, { at: performance.now(), answer });
  return answer;
}
