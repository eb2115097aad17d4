import type { ProbeSpec } from '../../messages/spec/process-spec.ts';
import type { EndpointMode, RuntimeContext, ServedModel } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { baseName } from '../../recipe/values/model-name.ts';
import { PUBLIC_PORT } from '../../recipe/values/ports.ts';
import { allocate, toProcesses, workerNodesNeeded } from '../common/allocation.ts';
import { configReader } from '../common/config.ts';
import { nsysPrefix, profilingEnvironment } from '../common/profiling.ts';
import { type BackendProtocol, recipeMode, type WorkerContext } from '../common/protocol.ts';
import { dynamoProgress } from '../common/rest.ts';
import { besideAddress, grpcPort, hasSidecar, withSidecar } from '../common/sidecar.ts';
import { commonEnvironment, fillIn, visibleDevices } from '../common/worker-environment.ts';
import { configYaml } from './config-file.ts';
import { storeEnvironment, storeFiles } from './mooncake-store.ts';
import { cannotRun, notDone } from './runnable.ts';
import { type TrtllmConfig, trtllmBackendSchema } from './schema.ts';

/** The prefix of TensorRT-LLM's logger: `[11/18/2025-09:33:30] [TRT-LLM] [RANK 0] [E] `. */
const LOGGED = '^\\[[^\\]]{1,40}\\] \\[TRT-LLM\\](?: ?\\[[^\\]]{1,40}\\]){0,4} ';

/**
 * After the end of a server or a rank the launcher and the other ranks stay alive: the launcher
 * (trtllm-llmapi-launch after 1.2) logs how its server ended; a rank without an executor returns
 * (tensorrt_llm/executor/worker.py, worker_main); a rank that crashes or hangs ends the others after a while,
 * or refuses everything from then on (tensorrt_llm/_torch/pyexecutor/hang_detector.py and py_executor.py, 1.0
 * to 1.3).
 */
const FATAL_LINES = [
  '^Rank[0-9]{1,6} Task exit code: [1-9]',
  `${LOGGED}Failed to initialize executor on rank [0-9]`,
  `${LOGGED}Executor loop crashed on this rank`,
  `${LOGGED}Hang detected on rank [0-9]{1,6} in PyExecutor`,
];

const configOf = configReader<TrtllmConfig>('trtllm');

/**
 * TensorRT-LLM, as its own server or wrapped by Dynamo. An endpoint is one MPI launch with a task for each
 * GPU, represented by its leader; the engine's options are in a file.
 */
export const trtllm = {
  type: 'trtllm',
  name: 'TensorRT-LLM',
  schema: trtllmBackendSchema,
  routers: { dynamo: 'all', trtllm_serve: 'all' },
  numberMaps: ['trtllm_config'],
  cannotRun,
  notDone,
  launch: 'endpoint',
  sidecar: 'aggregated',
  workerNodesNeeded,
  // Of several nodes a worker fills all but the last one, because its ranks look for their GPUs there: rank 5 is on the
  // second node of four GPUs and has GPU 1 (tensorrt_llm/mapping.py at 05ebebb, node_rank and local_rank; the GPUs of a
  // node are those that the leader sees, llmapi/llm_args.py).
  allocateEndpoints: (recipe, nodes) => allocate(recipe, nodes),
  endpointsToProcesses: (_, endpoints, ports) => toProcesses(endpoints, ports),
  command,
  servedModel,
  environment,
  files: (context) => {
    const { recipe, runtime, process } = context;
    const config = configYaml(optionsOf(recipe, process.mode));
    return [
      { path: `${runtime.logDir}/${configFile(process.mode)}`, content: config },
      ...storeFiles(context, servedModel(recipe, runtime).name),
    ];
  },
  ports: (context) => {
    const dynamo = underDynamo(context.recipe);
    const { system } = context.process.ports;
    const none = { bootstrap: null, kvEvents: null, nixl: null };
    const grpc = hasSidecar(context.recipe) ? { grpc: grpcPort(context) } : {};
    return {
      ...none,
      ...grpc,
      ...(dynamo ? { http: 0, system } : { http: servingPort(context), system: 0 }),
    };
  },
  healthProbe,
  fatalLines: FATAL_LINES,
  // The metrics of its own server do not show progress.
  progress: (context) => (underDynamo(context.recipe) ? dynamoProgress(context) : undefined),
} satisfies BackendProtocol;

const underDynamo = (recipe: Recipe): boolean => recipe.frontend.type === 'dynamo';

/**
 * Its own server names a model in a directory by the directory's last part
 * (tensorrt_llm/serve/openai_server.py, 1.2).
 */
function servedModel(recipe: Recipe, { modelPathInside: path }: RuntimeContext): ServedModel {
  if (underDynamo(recipe))
    return {
      name: dynamoName(recipe),
      isGiven: configOf(recipe).served_model_name != null,
    };
  const given = configOf(recipe).served_model_name;
  return { name: given ?? (path.startsWith('/') ? baseName(path) : path), isGiven: given != null };
}

const dynamoName = (recipe: Recipe): string =>
  configOf(recipe).served_model_name ?? baseName(recipe.model.path);

/** All endpoints of a mode share one file, because they have the same options. */
const configFile = (mode: EndpointMode): string => `trtllm_config_${mode}.yaml`;

const optionsOf = (recipe: Recipe, mode: EndpointMode): Readonly<Record<string, unknown>> =>
  configOf(recipe).trtllm_config?.[recipeMode(mode)] ?? {};

function command(context: WorkerContext): string[] {
  const { recipe } = context;
  if (hasSidecar(recipe)) return besideCommand(context);
  return [
    ...nsysPrefix(context, { forks: underDynamo(recipe), mpi: true }),
    ...memoryBinding(context),
    'trtllm-llmapi-launch',
    ...(underDynamo(recipe) ? dynamoWorker(context) : server(context)),
  ];
}

/** Its gRPC server with its sidecar, which the first rank has (ai-dynamo 1.6.1, `dynamo.trtllm.sidecar --help`). */
function besideCommand(context: WorkerContext): string[] {
  const { recipe, runtime, process } = context;
  const length = recipe.dynamo.sidecar_context_length ?? optionsOf(recipe, process.mode).max_seq_len;
  const host = besideAddress(runtime, process.node);
  const argv = [
    ...nsysPrefix(context, { forks: false, mpi: true }),
    ...memoryBinding(context),
    ...['trtllm-llmapi-launch', 'python3', '-m', 'tensorrt_llm.commands.serve', runtime.modelPathInside],
    ...['--grpc', '--host', host, '--port', String(grpcPort(context))],
    ...['--extra_llm_api_options', `${runtime.logDirInside}/${configFile(process.mode)}`],
  ];
  return withSidecar(context, { name: 'TensorRT-LLM', module: 'dynamo.trtllm.sidecar', argv }, [
    ...['--model-path', runtime.modelPathInside],
    ...(length == null ? [] : ['--context-length', String(length)]),
  ]);
}

/**
 * On Grace machines the GPUs' memory is NUMA nodes too, and the kernel would put ordinary memory there. Nodes
 * 0 and 1 are the CPUs' own.
 */
function memoryBinding({ recipe, process: { mode } }: WorkerContext): string[] {
  const wanted =
    configOf(recipe).numa_memory_bind ?? ['gb200', 'gb300'].includes(recipe.resources.gpu_type ?? '');
  return wanted === true && mode !== 'agg' ? ['numactl', '-m', '0,1'] : [];
}

function dynamoWorker({ recipe, runtime, process: { mode } }: WorkerContext): string[] {
  return [
    ...['python3', '-m', 'dynamo.trtllm', '--model-path', runtime.modelPathInside],
    ...['--served-model-name', dynamoName(recipe)],
    ...(mode === 'agg' ? [] : ['--disaggregation-mode', mode]),
    ...['--extra-engine-args', `${runtime.logDirInside}/${configFile(mode)}`],
    ...['--request-plane', recipe.dynamo.request_plane],
    ...published(configOf(recipe)),
  ];
}

/** Dynamo refuses both at once. */
const published = ({ publish_events_and_metrics: all, publish_metrics: metrics }: TrtllmConfig): string[] =>
  all === true ? ['--publish-events-and-metrics'] : metrics === true ? ['--publish-metrics'] : [];

function server(context: WorkerContext): string[] {
  const { recipe, runtime, process } = context;
  const options = optionsOf(recipe, process.mode);
  const { served_model_name: given } = configOf(recipe);
  const sizes = ['tensor_parallel_size', 'moe_expert_parallel_size', 'pipeline_parallel_size'];
  return [
    ...['trtllm-serve', runtime.modelPathInside],
    ...['--host', runtime.listenAddress(process.node), '--port', String(servingPort(context))],
    ...(given == null ? [] : ['--served_model_name', given]),
    // The server has its own defaults for these options, which would override the file.
    ...sizes.flatMap((size) => (options[size] == null ? [] : [`--${size}`, String(options[size])])),
    // The alias `--config` exists only since 1.2.
    ...['--extra_llm_api_options', `${runtime.logDirInside}/${configFile(process.mode)}`],
    ...configOf(recipe)[`${recipeMode(process.mode)}_extra_args`],
  ];
}

const servingPort = ({ recipe, runtime, process: { mode, node, ports } }: WorkerContext): number =>
  mode === 'agg' && !underDynamo(recipe) ? runtime.port(node, PUBLIC_PORT) : ports.http;

function environment(context: WorkerContext): Record<string, string> {
  const { recipe, runtime, process } = context;
  const { mode, index } = process;
  return {
    ...commonEnvironment(context),
    ...fillIn(configOf(recipe)[`${recipeMode(mode)}_environment`], context),
    ...storeEnvironment(context),
    // Shared memory of the expert balancer: endpoints and jobs that share a node must not share it.
    TRTLLM_EPLB_SHM_NAME: `moe_shared_${runtime.jobId}_${mode}_${index}`,
    ...profilingEnvironment(context),
    ...visibleDevices(context),
  };
}

function healthProbe(context: WorkerContext): ProbeSpec {
  const { recipe, runtime, process } = context;
  const port = underDynamo(recipe) ? process.ports.system : servingPort(context);
  return { kind: 'http', host: runtime.address(process.node), port, path: '/health' };
}
