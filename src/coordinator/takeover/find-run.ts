import { mkdtemp, readFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEvents } from '../../messages/events/events.ts';
import { toToken } from '../../messages/events/subjects.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec, JobState } from '../../messages/job-directory/job-files.ts';
import { doneEntry } from '../../messages/job-directory/result.ts';
import type { Epoch } from '../../messages/spec/counters.ts';
import { readPointResults } from '../record/read-results.ts';
import { readStateFile } from '../record/state-file.ts';
import { homePrefix } from './dead-jobs.ts';
import { lastEpoch } from './epoch-lock.ts';
import { type Handover, readHandover } from './handover-file.ts';
import { type RemainingWork, remainingWork } from './remaining-work.ts';

/** The remains of a killed coordinator. */
export interface FoundRun {
  readonly state: JobState;
  readonly remaining: RemainingWork;
  /**
   * null: its processes cannot be reached (another node, or the directory is gone), and end when their leases expire.
   */
  readonly handover: Handover | null;
}

export interface RunStart {
  /** One more than the epoch of the previous coordinator. */
  readonly epoch: Epoch;
  /** The job's directory (0700) on this node. */
  readonly home: string;
  /** null for a job that starts. */
  readonly found: FoundRun | null;
}

/** Looks for a previous run of the job. The job's state.json names the directory of its coordinator. */
export async function findRun({ jobDir, jobId }: JobSpec): Promise<RunStart> {
  const paths = jobPaths(jobDir, jobId);
  const state = await readStateFile(paths.state);
  if (!state) return { epoch: 1, home: await newHome(jobId), found: null };
  const { home } = state;
  const epoch: Epoch = Math.max(state.epoch, home ? lastEpoch(home.directory) : 0) + 1;
  const handover = home?.host === hostname() ? await readHandover(home.directory, jobId) : undefined;
  // The previous run ended in good order, so this one starts anew.
  if (!handover && state.sweep === 'finished') return { epoch, home: await newHome(jobId), found: null };
  const done = new Map(
    (await readPointResults(jobDir)).flatMap((result) =>
      result.status === 'done' ? [[result.ordinal, doneEntry(result)] as const] : [],
    ),
  );
  // The coordinator may have been killed after it wrote a result, and before it wrote state.json.
  const points = state.points.map((point) => ({ ...point, ...done.get(point.ordinal) }));
  const events = parseEvents(await readFile(paths.events, 'utf8').catch(() => ''));
  return {
    epoch,
    home: handover && home ? home.directory : await newHome(jobId),
    found: {
      state: { ...state, points },
      remaining: remainingWork({ ...state, points }, events),
      handover: handover ?? null,
    },
  };
}

const newHome = (jobId: string): Promise<string> =>
  mkdtemp(join(tmpdir(), `${homePrefix()}${toToken(jobId)}-`));
