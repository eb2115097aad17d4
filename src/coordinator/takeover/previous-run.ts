import { mkdtemp, readFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEvents } from '../../messages/events/events.ts';
import { toToken } from '../../messages/events/subjects.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec, JobState } from '../../messages/job-directory/job-files.ts';
import { doneEntry } from '../../messages/job-directory/result.ts';
import { readPointResults } from '../record/point-results.ts';
import { readStateFile } from '../record/state-file.ts';
import { homePrefix } from './dead-jobs.ts';
import { lastEpoch } from './epoch-lock.ts';
import { type Lifeline, readLifeline } from './handover-file.ts';
import { type Resumption, resumptionOf } from './resumption.ts';

/** The time of one coordinator in charge of a job. */
export interface Tenure {
  /** One more than that of the coordinator before. */
  readonly epoch: number;
  /** The job's directory (0700) on this node. */
  readonly home: string;
  /** What was left by a coordinator that was killed; null for a job that starts. */
  readonly before: Before | null;
}

export interface Before {
  readonly state: JobState;
  readonly resumption: Resumption;
  /** null: its processes cannot be reached any more (another node, or the directory is gone); their leases end them. */
  readonly lifeline: Lifeline | null;
}

/** Looks whether the job had a coordinator before. What that one held is found by its state.json. */
export async function beginTenure({ jobDir, jobId }: JobSpec): Promise<Tenure> {
  const paths = jobPaths(jobDir, jobId);
  const state = await readStateFile(paths.state);
  if (!state) return { epoch: 1, home: await newHome(jobId), before: null };
  const { home } = state;
  const epoch = Math.max(state.epoch, home ? lastEpoch(home.directory) : 0) + 1;
  const lifeline = home?.host === hostname() ? await readLifeline(home.directory, jobId) : undefined;
  // It ended in good order: what runs now is another run of the job.
  if (!lifeline && state.sweep === 'finished') return { epoch, home: await newHome(jobId), before: null };
  const done = new Map(
    (await readPointResults(jobDir)).flatMap((result) =>
      result.status === 'done' ? [[result.ordinal, doneEntry(result)] as const] : [],
    ),
  );
  // It was killed before it could say so.
  const points = state.points.map((point) => ({ ...point, ...done.get(point.ordinal) }));
  const events = parseEvents(await readFile(paths.events, 'utf8').catch(() => ''));
  return {
    epoch,
    home: lifeline && home ? home.directory : await newHome(jobId),
    before: {
      state: { ...state, points },
      resumption: resumptionOf({ ...state, points }, events),
      lifeline: lifeline ?? null,
    },
  };
}

const newHome = (jobId: string): Promise<string> =>
  mkdtemp(join(tmpdir(), `${homePrefix()}${toToken(jobId)}-`));
