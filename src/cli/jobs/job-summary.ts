import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec, JobState } from '../../messages/job-directory/job-files.ts';
import { atATime } from '../../os/at-a-time.ts';
import { silenceOf } from './coordinator-silence.ts';
import {
  askSlurmAbout,
  isOver,
  type JobOnDisk,
  listJobs,
  readJob,
  readState,
  slurmStateOf,
} from './job-dir.ts';
import type { Outcome } from './outcomes.ts';

/** Jobs that are read at a time. */
const READS = 32;

/** Which jobs a list has; what is not given does not matter. */
export interface JobFilter {
  /** The name, or a part of it. */
  readonly name?: string | undefined;
  readonly tag?: string | undefined;
  /** Submitted later than this, ms since 1970. */
  readonly since?: number | undefined;
  /** Only of this user. */
  readonly own?: boolean;
}

/** Where a job stands, in a line; from its state alone, without its events. */
export interface JobSummary {
  readonly jobId: string;
  readonly name: string;
  readonly jobDir: string;
  readonly mode: JobSpec['mode'];
  readonly tags: readonly string[];
  readonly submittedAt: string;
  /** When the state was last written; null before the coordinator has begun. */
  readonly updatedAt: string | null;
  /** As in JobStatus. */
  readonly state: string;
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly points: number;
  readonly pointsDone: number;
  readonly pointsFailed: number;
  /** The point that is under way. */
  readonly point: { readonly name: string; readonly state: string } | null;
  readonly expectedEndAt: string | null;
  readonly slurm: { readonly state: string; readonly reason: string } | null;
  readonly cause: string | null;
  readonly over: boolean;
}

/** A job whose file cannot be read. */
export interface UnreadableJob {
  readonly jobId: string;
  readonly state: 'unreadable';
}

/** The jobs below an outputs directory that a filter lets through, newest first. */
export async function summariesOf(
  root: string,
  filter: JobFilter,
): Promise<readonly (JobSummary | UnreadableJob)[]> {
  const ids = await listJobs(root, { own: filter.own === true });
  const jobs: (JobOnDisk | UnreadableJob | undefined)[] = [];
  await atATime(READS, ids, async (jobId, at) => {
    // A job's file is not written again, so an older one need not be read.
    if (filter.since !== undefined && (await writtenAt(root, jobId)) < filter.since) return;
    const job = await readJob(join(root, jobId));
    if (!job) jobs[at] = { jobId, state: 'unreadable' };
    else if (fits(job, filter)) jobs[at] = job;
  });
  const chosen = jobs.flatMap((job) => job ?? []);
  await askSlurmAbout(chosen.flatMap((job) => ('spec' in job ? job : [])));
  const summaries: (JobSummary | UnreadableJob)[] = [];
  await atATime(READS, chosen, async (job, at) => {
    summaries[at] = 'spec' in job ? await summaryOf(job) : job;
  });
  return summaries;
}

const writtenAt = (root: string, jobId: string): Promise<number> =>
  stat(jobPaths(join(root, jobId), jobId).spec).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );

const fits = ({ spec }: JobOnDisk, { name, tag }: JobFilter): boolean =>
  (name === undefined || spec.name.includes(name)) && (tag === undefined || spec.tags.includes(tag));

async function summaryOf(job: JobOnDisk): Promise<JobSummary> {
  const { jobId, jobDir, spec } = job;
  const [state, over] = await Promise.all([readState(job), isOver(job)]);
  const inSlurm = spec.mode === 'slurm' && state?.sweep !== 'finished' ? await slurmStateOf(job) : undefined;
  const silence = over ? null : await silenceOf(job);
  const points = state?.points ?? [];
  const current = points.find(({ status, state: at }) => status === null && at !== 'planned');
  const word = stateOf(state, { over, silent: silence !== null, inSlurm: inSlurm?.state });
  return {
    ...{ jobId, name: spec.name, jobDir, mode: spec.mode, tags: spec.tags, submittedAt: spec.submittedAt },
    updatedAt: state?.updatedAt ?? null,
    state: word,
    outcome: outcomeOf(state, over),
    exitCode: state?.exitCode ?? null,
    points: points.length,
    pointsDone: points.filter(({ status }) => status === 'done').length,
    pointsFailed: points.filter(({ status }) => status === 'failed').length,
    point: over || !current ? null : { name: current.name, state: current.state },
    expectedEndAt: over ? null : (state?.progress?.expectedEndAt ?? null),
    slurm: inSlurm ? { state: inSlurm.state, reason: inSlurm.reason } : null,
    cause: (state?.cause ?? silence)?.summary ?? null,
    over,
  };
}

/** `dead`: the coordinator is gone without having finished. */
function stateOf(
  state: JobState | undefined,
  { over, silent, inSlurm }: { over: boolean; silent: boolean; inSlurm: string | undefined },
): string {
  if (silent) return 'silent';
  if (state === undefined && inSlurm !== undefined) return inSlurm.toLowerCase();
  if (over && state?.sweep !== 'finished') return 'dead';
  return state?.sweep ?? 'starting';
}

/** Exit codes of a job that a person, a signal or the end of its allocation stopped. */
const STOPPED: readonly number[] = [124, 130, 143];

function outcomeOf(state: JobState | undefined, over: boolean): Outcome {
  if (!over) return state === undefined ? 'queued' : 'running';
  const exitCode = state?.exitCode ?? null;
  if (exitCode === 0) return 'done';
  return exitCode !== null && STOPPED.includes(exitCode) ? 'stopped' : 'failed';
}
