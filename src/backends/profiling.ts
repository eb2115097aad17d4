import type { WorkerContext } from './protocol.ts';
import { recipeMode } from './recipe-mode.ts';

/** What the profilers of engines read from their environment. */
export function profilingEnvironment({ recipe, runtime, process }: WorkerContext): Record<string, string> {
  const { type } = recipe.profiling;
  if (type === 'none') return {};
  const { mode } = process;
  const steps = recipe.profiling[recipeMode(mode)];
  const prefix = `PROFILE_${mode.toUpperCase()}`;
  const env: Record<string, string> = { PROFILING_MODE: mode, PROFILE_TYPE: type };
  if (steps) {
    env[`${prefix}_START_STEP`] = String(steps.start_step);
    env[`${prefix}_STOP_STEP`] = String(steps.stop_step);
  }
  if (type === 'torch') return { ...env, SGLANG_TORCH_PROFILER_DIR: `${runtime.logDir}/profiles/${mode}` };
  if (steps) env.TLLM_PROFILE_START_STOP = `${steps.start_step}-${steps.stop_step}`;
  return { ...env, TLLM_LLMAPI_ENABLE_NVTX: '1' };
}

/** The words before an engine's command under Nsight Systems. `forks`: the engine forks its workers without exec. */
export function nsysPrefix({ recipe, runtime, process }: WorkerContext, forks: boolean): string[] {
  if (recipe.profiling.type !== 'nsys') return [];
  const { mode, index, node, gpus } = process;
  const report = `${node}_${mode}_w${index}_profile_gpu${gpus.join('-')}`;
  return [
    ...['nsys', 'profile', '-t', 'cuda,nvtx', '--cuda-graph-trace=node'],
    ...['-c', 'cudaProfilerApi', '--capture-range-end', 'stop', '--force-overwrite', 'true'],
    ...(forks ? ['--trace-fork-before-exec=true'] : []),
    ...['-o', `${runtime.logDirInside}/profiles/${mode}/${report}`],
  ];
}
