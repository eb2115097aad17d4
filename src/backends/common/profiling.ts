import type { EndpointMode } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { recipeMode, type WorkerContext } from './protocol.ts';

/** The first and last profiled step of a mode, when the recipe sets both. */
export function profiledSteps(recipe: Recipe, mode: EndpointMode): { start: number; stop: number } | null {
  const { start_step: start, stop_step: stop } = recipe.profiling[recipeMode(mode)] ?? {};
  return start == null || stop == null ? null : { start, stop };
}

/** Environment variables of the engines' profilers. */
export function profilingEnvironment({ recipe, runtime, process }: WorkerContext): Record<string, string> {
  const { type, benchmark_duration_secs: seconds } = recipe.profiling;
  if (type === 'none') return {};
  const { mode } = process;
  const { start_step: start, stop_step: stop } = recipe.profiling[recipeMode(mode)] ?? {};
  const prefix = `PROFILE_${mode.toUpperCase()}`;
  const env: Record<string, string> = { PROFILING_MODE: mode, PROFILE_TYPE: type };
  if (start != null) env[`${prefix}_START_STEP`] = String(start);
  if (stop != null) env[`${prefix}_STOP_STEP`] = String(stop);
  if (type === 'torch') env.SGLANG_TORCH_PROFILER_DIR = `${runtime.logDir}/profiles/${mode}`;
  if (type === 'nsys-time') env.PROFILE_BENCHMARK_DURATION_SECS = String(seconds);
  if (type === 'nsys' && start != null && stop != null) {
    env.TLLM_PROFILE_START_STOP = `${start}-${stop}`;
    env.TLLM_LLMAPI_ENABLE_NVTX = '1';
  }
  return env;
}

const afterStop = ({ profiling }: Recipe, { mpi }: NsysOptions): string =>
  mpi ? 'stop' : (profiling.capture_range_end ?? 'stop');

/** Whether a process is one of those that the recipe records between two steps. */
function isSelected({ recipe, process }: Pick<WorkerContext, 'recipe' | 'process'>): boolean {
  const {
    capture_scope: scope,
    worker_index: index,
    worker_rank: rank,
  } = recipe.profiling[recipeMode(process.mode)] ?? {};
  return scope !== 'selected' || (process.index === (index ?? 0) && process.rank === (rank ?? 0));
}

/** A shell command that puts the recipe's library directories before those of the image, and starts its arguments. */
const withLibraries = (paths: readonly string[]): string[] =>
  paths.length === 0
    ? []
    : [
        ...[
          'bash',
          '-c',
          'export LD_LIBRARY_PATH="$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; shift; exec "$@"',
        ],
        ...['bash', paths.join(':')],
      ];

export interface NsysOptions {
  /** The engine forks its workers without exec. */
  readonly forks: boolean;
  /** It is one of several tasks of an MPI launch, which must all exit by themselves. */
  readonly mpi?: boolean;
}

/** The words before an engine's command under Nsight Systems. */
export function nsysPrefix({ recipe, runtime, process }: WorkerContext, options: NsysOptions): string[] {
  const { profiling } = recipe;
  const { type, extra_nsys_args: extra, delay_secs: delay, duration_secs: duration } = profiling;
  if (type !== 'nsys' && type !== 'nsys-time') return [];
  if (type === 'nsys' && !options.mpi && !isSelected({ recipe, process })) return [];
  if (type === 'nsys-time' && (delay == null || duration == null)) {
    const missing = delay == null ? 'delay_secs' : 'duration_secs';
    throw new PlanError('profiling-field', `nsys-time needs profiling.${missing}`, {
      place: { file: '', path: `profiling.${missing}` },
    });
  }
  const { mode, index, node, gpus } = process;
  const report = `${node}_${mode}_w${index}_profile_gpu${gpus.join('-')}`;
  const forks = profiling.trace_fork_before_exec ?? options.forks;
  return [
    ...withLibraries(profiling.nsys_library_paths ?? []),
    ...['nsys', 'profile', '-t', options.mpi ? 'cuda,nvtx,ucx' : (profiling.nsys_trace ?? 'cuda,nvtx')],
    ...(options.mpi ? ['--sample=none'] : []),
    '--cuda-graph-trace=node',
    ...(type === 'nsys'
      ? ['-c', 'cudaProfilerApi', '--capture-range-end', afterStop(recipe, options)]
      : ['--delay', String(delay), '--duration', String(duration)]),
    ...(extra ?? []),
    ...(options.mpi ? ['--kill', 'none', '--wait', 'all'] : []),
    ...['--force-overwrite', 'true'],
    ...(forks && !options.mpi ? ['--trace-fork-before-exec=true'] : []),
    ...['-o', `${runtime.logDirInside}/profiles/${mode}/${report}`],
  ];
}
