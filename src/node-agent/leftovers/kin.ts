import { readFileSync } from 'node:fs';
import { markIn, OWNER_VARIABLE, type OwnerMark } from '../../os/processes/owner-mark.ts';
import { STAT, statOf } from '../../os/processes/proc-stat.ts';
import { isMarked, type Sought, valueIn } from './marks.ts';

/** Properties that tie processes to one start of a spec. */
export interface Kin {
  /** The process group and session of the start, by the pid of its first process. */
  readonly group: number;
  /** Value of SRTCTL_PROCESS. */
  readonly mark: string;
  /** The mark that it cannot erase. */
  readonly sought?: Sought | undefined;
}

/** More generations than any real process tree has. */
const GENERATIONS = 64;

/**
 * Whether a process belongs to one start of a spec: it is in its group or session, has an ancestor there, or
 * carries one of its marks. undefined: the process has ended or cannot be read.
 */
export function isKin(pid: number, { group, mark, sought }: Kin): boolean | undefined {
  let exists = false;
  for (const place of ancestry(pid)) {
    exists = true;
    if (place.pid === group || place.group === group || place.session === group) return true;
  }
  if (!exists) return undefined;
  if (sought && isMarked(markOf(pid), sought)) return true;
  const environ = environmentOf(pid);
  return environ !== undefined && valueIn(environ, 'SRTCTL_PROCESS') === mark;
}

/**
 * Whether a process belongs to a job of this user: it or an ancestor carries the job's mark, or no mark of
 * srtctl but Slurm's variable for this agent's allocation, where several jobs may run. A program that sets
 * its title loses its environment, but the agent that started it, or that its mark names, has one.
 */
export function isOfJob(pid: number, jobId: string, slurmJob = process.env.SLURM_JOB_ID): boolean {
  const job = jobOf(pid);
  if (job !== undefined) return job === jobId;
  return slurmJob !== undefined && slurmJobOf(pid) === slurmJob;
}

/**
 * The job whose mark a process or an ancestor carries; undefined where there is none, or it cannot be read.
 */
export function jobOf(pid: number): string | undefined {
  const job = inherited(pid, 'SRTCTL_JOB');
  if (job !== undefined) return job;
  const owner = markOf(pid);
  return owner && agentAt(owner.pid)?.split('/')[0];
}

/** The Slurm job of a process, according to its environment or that of an ancestor. */
export const slurmJobOf = (pid: number): string | undefined => inherited(pid, 'SLURM_JOB_ID');

/** The value of a variable in the environment of a process, or of its nearest ancestor that has it. */
function inherited(pid: number, variable: string): string | undefined {
  for (const { pid: one } of ancestry(pid)) {
    const value = valueIn(environmentOf(one) ?? '', variable);
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}

/** `<job>/<node>` of a living agent or its keeper; undefined for any other process. */
export const agentAt = (pid: number): string | undefined => valueIn(environmentOf(pid) ?? '', OWNER_VARIABLE);

function markOf(pid: number): OwnerMark | undefined {
  try {
    return markIn(readFileSync(`/proc/${pid}/limits`, 'latin1'));
  } catch {
    return undefined;
  }
}

interface Place {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** A process, its parent, and so on up to the machine's first process, which is excluded. */
function* ancestry(pid: number): Generator<Place> {
  let place = placeOf(pid);
  for (let step = 0; place && step < GENERATIONS; step++) {
    yield place;
    place = place.parent > 1 ? placeOf(place.parent) : undefined;
  }
}

function placeOf(pid: number): Place | undefined {
  const fields = statOf(pid);
  if (!fields) return undefined;
  const numberAt = (at: number): number => Number(fields[at]);
  const [parent, group, session] = [numberAt(STAT.parent), numberAt(STAT.group), numberAt(STAT.session)];
  return { pid, parent, group, session };
}

function environmentOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return undefined;
  }
}
