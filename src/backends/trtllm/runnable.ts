import { type Checks, type Finding, YET } from '../../model/checks.ts';
import { configReader } from '../common/config.ts';
import { stepsToProfile } from '../common/profiling-checks.ts';
import type { TrtllmConfig } from './schema.ts';

const configOf = configReader<TrtllmConfig>('trtllm');

/** Why srtctl cannot start ranks of an MPI launch, and what to do. */
export const cannotRun: NonNullable<Checks['cannotRun']> = (_, { mock, slurm, runtime }) => {
  const path = ['backend', 'type'];
  if (mock) return [];
  if (slurm === false)
    return [
      {
        path,
        text: 'MPI starts TensorRT-LLM through Slurm, which --local does not have',
        hint: 'omit --local, or add --mock for simulated engines',
      },
    ];
  if (runtime === 'docker' || runtime === 'podman')
    return [
      {
        path,
        text: `MPI starts TensorRT-LLM, and cannot start ranks inside containers of ${runtime}`,
        hint: 'container_runtime: pyxis, enroot, apptainer or none (srtslurm.yaml)',
      },
    ];
  return [];
};

export const notDone: NonNullable<Checks['notDone']> = (recipe, way) => {
  const config = configOf(recipe);
  const asked: readonly [key: string, isAsked: boolean, text: string][] = [
    ['sequential_node_start', config.sequential_node_start > 0, 'all workers of a node load at once'],
    [
      'numa_memory_bind',
      config.numa_memory_bind === 'local',
      'workers are not kept to the memory beside their GPUs',
    ],
    ['numa_cpu_bind', config.numa_cpu_bind, 'workers are not bound to CPUs'],
  ];
  return [
    ...stepsToProfile(recipe, way),
    ...asked.flatMap(([key, isAsked, text]): Finding[] =>
      isAsked ? [{ path: ['backend', key], text: `${YET}${text}` }] : [],
    ),
  ];
};
