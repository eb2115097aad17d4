import { SrtctlError } from '../../os/errors.ts';
import { expandHostlist } from './hostlist.ts';

export interface SlurmAllocation {
  readonly jobId: string;
  /** In Slurm's order, the head first; of a heterogeneous job the components one after the other. */
  readonly nodes: readonly string[];
  readonly hetGroups: number;
  /** Nodes of each component; of a job that is not heterogeneous all of them. */
  readonly components: readonly (readonly string[])[];
  /** When Slurm ends the job, ms since the epoch; null where it does not say. */
  readonly endsAt: number | null;
}

/** The allocation that a process runs in (sbatch(1), "Output environment variables"); undefined outside of any. */
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

/** When Slurm ends the job that a process runs in, ms since the epoch; null outside of any, or where it does not say. */
export function endOfJob(env: NodeJS.ProcessEnv): number | null {
  const end = Number(env.SLURM_JOB_END_TIME);
  return end > 0 ? end * 1_000 : null;
}

/** Seconds before the time limit at which Slurm tells the job (sbatch(1), --signal), where the limit is long enough. */
const WARNING_S = 120;
/** slurmctld looks each half minute, so that its warning may come that much earlier than asked for. */
const WARNING_SLACK_S = 30;

/**
 * How long before its time limit a job is told to end. Of a short limit it is a fifth: with the full two minutes a job
 * of two minutes would be told to end as it starts.
 */
export const warningSeconds = (limitMs: number | null): number =>
  limitMs === null ? WARNING_S : Math.min(WARNING_S, Math.max(10, Math.floor(limitMs / 5_000)));

/** true when a SIGTERM at this time is (as far as one can know) the warning of the time limit. */
export const isNearLimit = (now: number, endsAt: number, limitMs: number | null): boolean =>
  now > endsAt - (warningSeconds(limitMs) + 2 * WARNING_SLACK_S) * 1_000;
