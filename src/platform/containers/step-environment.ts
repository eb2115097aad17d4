import { isOfLaunch } from './task-environment.ts';

/**
 * What sbatch or an enclosing step tells srun through its environment and would change or contradict a step of ours
 * (srun(1), "Input environment variables").
 */
const MISLEADING =
  /^(SLURM_(MEM_PER_\w+|CPUS_PER_TASK|CPUS_PER_GPU|CPU_BIND\w*|GPU_BIND|GPUS_PER_TASK|TRES_PER_TASK|NTASKS\w*|NPROCS|EXACT|EXCLUSIVE|HINT|THREADS_PER_CORE|DISTRIBUTION|MPI_TYPE|STEP_\w+|STEPID|LABELIO|UNBUFFEREDIO|KILL_BAD_EXIT|WAIT|NO_KILL|SRUN_\w+)|SRUN_\w+|SBATCH_\w+)$/;

/** @param own what a recipe sets itself, which stays */
export function stepEnvironment<T extends string | undefined>(
  env: Readonly<Record<string, T>>,
  own: Readonly<Record<string, string>> = {},
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => name in own || !(MISLEADING.test(name) || isOfLaunch(name))),
  );
}
