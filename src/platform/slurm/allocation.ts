import { SrtctlError } from '../../os/errors.ts';
import { expandHostlist } from './hostlist.ts';

export interface SlurmAllocation {
  readonly jobId: string;
  /** In Slurm's order, the head first; the components of a heterogeneous job one after the other. */
  readonly nodes: readonly string[];
  readonly hetGroups: number;
  /** Nodes of each component; a job that is not heterogeneous has one component with all nodes. */
  readonly components: readonly (readonly string[])[];
  /** When Slurm ends the job, ms since the epoch; null when Slurm does not report it. */
  readonly endsAt: number | null;
}

/**
 * The allocation that a process runs in (sbatch(1), "Output environment variables"); undefined outside of an
 * allocation.
 */
export function allocationOf(env: NodeJS.ProcessEnv): SlurmAllocation | undefined {
  const jobId = env.SLURM_JOB_ID;
  if (jobId === undefined || jobId === '') return undefined;
  const hetGroups = Number(env.SLURM_HET_SIZE ?? 1);
  const lists =
    hetGroups > 1
      ? Array.from({ length: hetGroups }, (_, group) => env[`SLURM_JOB_NODELIST_HET_GROUP_${group}`] ?? '')
      : [env.SLURM_JOB_NODELIST ?? env.SLURM_NODELIST ?? ''];
  const components = lists.map(expandHostlist);
  const nodes = components.flat();
  if (nodes.length === 0)
    throw new SrtctlError('no-nodes', `Slurm job ${jobId} does not say which nodes it has`, {
      hint: 'SLURM_JOB_NODELIST is not set',
    });
  return { jobId, nodes, hetGroups, components, endsAt: endOfJob(env) };
}

/** When Slurm ends the job that a process runs in, ms since the epoch; null outside of a job, or when not reported. */
export function endOfJob(env: NodeJS.ProcessEnv): number | null {
  const end = Number(env.SLURM_JOB_END_TIME);
  return end > 0 ? end * 1_000 : null;
}

/**
 * How many seconds before the time limit Slurm signals the job (sbatch(1), --signal), when the limit is long enough.
 */
const WARNING_S = 120;
/** slurmctld checks every half minute, so the signal may come that much earlier than requested. */
const WARNING_SLACK_S = 30;

/**
 * How long before its time limit Slurm signals a job. A short limit gets a fifth of the limit, because with the full
 * two minutes Slurm would signal a job of two minutes at its start.
 */
export const warningSeconds = (limitMs: number | null): number =>
  limitMs === null ? WARNING_S : Math.min(WARNING_S, Math.max(10, Math.floor(limitMs / 5_000)));

/** true when a SIGTERM at this time is most likely the signal for the time limit. */
export const isNearLimit = (now: number, endsAt: number, limitMs: number | null): boolean =>
  now > endsAt - (warningSeconds(limitMs) + 2 * WARNING_SLACK_S) * 1_000;
