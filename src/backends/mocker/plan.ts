import type { ProbeSpec } from '../../messages/spec/process-spec.ts';
import { flagsToArgv } from '../../recipe/values/flags.ts';
import { allocate, toProcesses, workerNodesNeeded } from '../common/allocation.ts';
import { configReader } from '../common/config.ts';
import { nsysPrefix, profilingEnvironment } from '../common/profiling.ts';
import { noStepsToProfile } from '../common/profiling-checks.ts';
import { type BackendProtocol, recipeMode, type WorkerContext } from '../common/protocol.ts';
import { dynamoProgress } from '../common/rest.ts';
import { commonEnvironment, fillIn, visibleDevices } from '../common/worker-environment.ts';
import { type MockerConfig, mockerBackendSchema } from './schema.ts';

const configOf = configReader<MockerConfig>('mocker');

/** Dynamo's simulated engine: it registers as a real one does, and computes nothing. */
export const mocker = {
  type: 'mocker',
  name: 'mocker',
  schema: mockerBackendSchema,
  routers: { dynamo: 'all' },
  registers: (recipe) => ({ each: configOf(recipe).num_workers, ranks: false }),
  notDone: noStepsToProfile,
  workerNodesNeeded,
  allocateEndpoints: (recipe, nodes) => allocate(recipe, nodes),
  endpointsToProcesses: (recipe, endpoints, ports) =>
    toProcesses(endpoints, ports, configOf(recipe).num_workers),
  command,
  servedModel: (recipe, runtime) => {
    const { mocker_config: config } = configOf(recipe);
    const mode = (recipe.resources.agg_workers ?? 0) > 0 ? 'agg' : 'decode';
    const options = config?.[recipeMode(mode)] ?? {};
    const given = options['model-name'] ?? options.model_name;
    return { name: String(given ?? runtime.modelPathInside), isGiven: given != null };
  },
  ports: ({ process: { rank, ports } }) => ({
    http: 0,
    bootstrap: rank === 0 ? ports.bootstrap : null,
    kvEvents: null,
    nixl: null,
  }),
  environment: (context) => ({
    ...commonEnvironment(context),
    ...fillIn(configOf(context.recipe)[`${recipeMode(context.process.mode)}_environment`], context),
    ...profilingEnvironment(context),
    ...visibleDevices(context),
  }),
  healthProbe,
  progress: dynamoProgress,
} satisfies BackendProtocol;

function command(context: WorkerContext): string[] {
  const { recipe, runtime, process } = context;
  const { mode, ports } = process;
  const config = configOf(recipe);
  return [
    ...nsysPrefix(context, { forks: true }),
    ...['python3', '-m', 'dynamo.mocker', '--model-path', runtime.modelPathInside],
    ...(mode === 'agg' ? [] : ['--disaggregation-mode', mode]),
    ...(mode === 'prefill' && ports.bootstrap !== null
      ? ['--bootstrap-ports', bootstrapPorts(ports.bootstrap, config.num_workers)]
      : []),
    ...['--engine-type', config.engine_type],
    ...['--speedup-ratio', float(config.speedup_ratio)],
    ...['--data-parallel-size', String(config.data_parallel_size)],
    ...['--num-gpu-blocks-override', String(config.num_gpu_blocks_override)],
    ...['--max-num-seqs', String(config.max_num_seqs)],
    ...['--max-num-batched-tokens', String(config.max_num_batched_tokens)],
    ...(config.decode_speedup_ratio === 1
      ? []
      : ['--decode-speedup-ratio', float(config.decode_speedup_ratio)]),
    ...flagsToArgv({
      'block-size': config.block_size ?? null,
      'num-workers': config.num_workers > 1 ? config.num_workers : null,
      'startup-time': config.startup_time == null ? null : float(config.startup_time),
      'kv-transfer-bandwidth':
        config.kv_transfer_bandwidth == null ? null : float(config.kv_transfer_bandwidth),
      'kv-cache-dtype': config.kv_cache_dtype ?? null,
      'no-enable-prefix-caching': !config.enable_prefix_caching,
      'no-enable-chunked-prefill': !config.enable_chunked_prefill,
      'preemption-mode': config.preemption_mode ?? null,
    }),
    // The last of a repeated option counts, so a mode's own options come last.
    ...flagsToArgv(config.mocker_config?.[recipeMode(mode)] ?? {}),
  ];
}

/** A number as Python writes a float: 100 is 100.0. */
const float = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : String(value));

/** A port for each worker in the process. */
const bootstrapPorts = (first: number, workers: number): string =>
  Array.from({ length: workers }, (_, index) => first + index).join(',');

/**
 * The mocker registers no sample request for Dynamo's health check, so its status stays `notready` and HTTP
 * 503 for ever. Its endpoint reports `ready` when it is registered (seen with Dynamo 0.7.0, 0.8.1 and 1.6.1).
 */
function healthProbe({ runtime, ranks, process }: WorkerContext): ProbeSpec {
  const leader = ranks[0] ?? process;
  return {
    ...{ kind: 'http', host: runtime.address(leader.node), port: leader.ports.system, path: '/health' },
    accept: { status: 503, at: ['endpoints', 'generate'], is: 'ready' },
  };
}
