import { SrtctlError } from '../errors.ts';
import { expandHostlist } from './hostlist.ts';

export interface SlurmAllocation {
  readonly jobId: string;
  /** In Slurm's order, the head first; of a heterogeneous job the components one after the other. */
  readonly nodes: readonly string[];
  readonly hetGroups: number;
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
  const nodes = lists.flatMap(expandHostlist);
  if (nodes.length === 0)
    throw new SrtctlError('no-nodes', `Slurm job ${jobId} does not say which nodes it has`, {
      hint: 'SLURM_JOB_NODELIST is not set',
    });
  return { jobId, nodes, hetGroups, endsAt: endOfJob(env) };
}

/** When Slurm ends the job that a process runs in, ms since the epoch; null outside of any, or where it does not say. */
export function endOfJob(env: NodeJS.ProcessEnv): number | null {
  const end = Number(env.SLURM_JOB_END_TIME);
  return end > 0 ? end * 1_000 : null;
}

/**
 * A time limit as sbatch(1) takes it: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS, in ms; null for none (or
 * for what is no time limit: sbatch says so).
 */
export function timeLimitMs(text: string): number | null {
  const match = /^(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$/.exec(text.trim());
  if (!match) return null;
  const [days, ...fields] = match.slice(1).map((field) => (field === undefined ? undefined : Number(field)));
  const [a = 0, b, c] = fields;
  if (days !== undefined) return (((days * 24 + a) * 60 + (b ?? 0)) * 60 + (c ?? 0)) * 1_000;
  if (c !== undefined) return ((a * 60 + (b ?? 0)) * 60 + c) * 1_000;
  return (a * 60 + (b ?? 0)) * 1_000;
}
