import { isOfLaunch } from './task-environment.ts';

/**
 * Variables by which sbatch or an enclosing step would change or contradict srtctl's own steps, because srun reads them
 * (srun(1), "Input environment variables").
 */
const MISLEADING =
  /^(SLURM_(MEM_PER_\w+|CPUS_PER_TASK|CPUS_PER_GPU|CPU_BIND\w*|GPU_BIND|GPUS_PER_TASK|TRES_PER_TASK|NTASKS\w*|NPROCS|EXACT|EXCLUSIVE|HINT|THREADS_PER_CORE|DISTRIBUTION|MPI_TYPE|STEP_\w+|STEPID|LABELIO|UNBUFFEREDIO|KILL_BAD_EXIT|WAIT|NO_KILL|SRUN_\w+)|SRUN_\w+|SBATCH_\w+)$/;

/** @param own variables that the recipe itself sets, which stay */
export function stepEnvironment<T extends string | undefined>(
  env: Readonly<Record<string, T>>,
  own: Readonly<Record<string, string>> = {},
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => name in own || !(MISLEADING.test(name) || isOfLaunch(name))),
  );
}
