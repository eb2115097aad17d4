import type { ProcessSpec } from '../../messages/spec/process-spec.ts';

/**
 * Variables by which Slurm, an MPI library or a hook of a container runtime (enroot's 50-slurm-pmi.sh and
 * 50-slurm-pytorch.sh) tells a task its rank in a launch. An agent is such a task, but the processes that it starts are
 * not. Open MPI takes a process with SLURM_STEP_ID or PMIX_RANK for a rank that srun launched, and torch takes RANK and
 * WORLD_SIZE for those of its process group.
 */
const TASK =
  /^(SLURMD?_\w+|PMI\d?_\w+|PMIX_\w+|OMPI_\w+|PRTE_\w+|PALS_\w+|I_MPI_\w+|HYDRA_\w+|MPI_LOCAL\w+|MPICH_RANK\w*|MV2_COMM_\w+|FLUX_\w+|(LOCAL_|NODE_|GROUP_|ROLE_)?RANK|(LOCAL_|GROUP_|ROLE_)?WORLD_SIZE|MASTER_(ADDR|PORT))$/;

/** The task variables that describe the job. Commands of a recipe may use them, and Slurm's commands need them. */
const JOB =
  /^(SLURM_(CONF|JOB_\w+|JOBID|CLUSTER_NAME|SUBMIT_\w+|NODEID|HET_SIZE|ARRAY_\w+)|SLURMD_NODENAME)$/;

/** Settings of MPI libraries by a site or an image. They do not describe one launch. */
const MPI_SETTING = /^(OMPI|PMIX|PRTE)_MCA_(?!orte_|ess_?|initial_wdir)/;

/**
 * The environment that a process inherits from its agent. A rank of an MPI launch gets its place from its own launcher,
 * a command of the recipe keeps the variables that describe the job, and an engine keeps none of them. Variables that
 * the recipe itself sets (`own`) stay.
 */
export function withoutTask<T extends string | undefined>(
  env: Readonly<Record<string, T>>,
  spec: Pick<ProcessSpec, 'role' | 'mpi'>,
  own: Readonly<Record<string, string>>,
): Record<string, T> {
  // stepEnvironment removes the variables of the agent's own launch.
  if (spec.mpi) return { ...env };
  const command = spec.role === 'step' || spec.role === 'benchmark';
  return filtered(env, (name) => name in own || !TASK.test(name) || (command && JOB.test(name)));
}

/**
 * true for a variable of the launch of the process that calls srun, apart from the variables that srun itself reads.
 */
export const isOfLaunch = (name: string): boolean =>
  TASK.test(name) && !/^SLURM/.test(name) && !MPI_SETTING.test(name);

const filtered = <T>(env: Readonly<Record<string, T>>, keep: (name: string) => boolean): Record<string, T> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => keep(name)));

/** For static mode: true when a variable of a recipe would be taken for a variable of the launch. */
export const isOfTask = (name: string): boolean => TASK.test(name);

/** The same patterns for the sed of static mode, which removes the variables in the task itself. */
export const taskPatterns = { task: source(TASK), job: source(JOB) };

function source({ source: text }: RegExp): string {
  return text.slice(1, -1).replaceAll('\\w', '[A-Za-z0-9_]').replaceAll('\\d', '[0-9]');
}
