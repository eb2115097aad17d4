import { onUnlessTold } from '../../engine-options/options.ts';
import type { ProbeSpec } from '../../messages/spec/process-spec.ts';
import type { EndpointMode, EndpointProcess } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { type Flags, flagsToArgv, pythonJson } from '../../recipe/values/flags.ts';
import { baseName } from '../../recipe/values/model-name.ts';
import { dataParallelRpcPort, PUBLIC_PORT, scanPort } from '../../recipe/values/ports.ts';
import { allocate, shapesOf, workerNodesNeeded } from '../common/allocation.ts';
import { configReader, optionsOf as optionsOfMode, takesMooncake } from '../common/config.ts';
import { kvEventsArguments } from '../common/kv-events.ts';
import {
  MOONCAKE_CONFIG,
  mooncakeEnvironment,
  mooncakeOf,
  mooncakePorts,
  requireMooncakeUser,
} from '../common/mooncake.ts';
import { nsysPrefix, profiledSteps, profilingEnvironment } from '../common/profiling.ts';
import { stepsToProfile } from '../common/profiling-checks.ts';
import {
  type BackendProtocol,
  type EngineProgress,
  recipeMode,
  type WorkerContext,
} from '../common/protocol.ts';
import { DYNAMO_GAUGES, DYNAMO_PROGRESS } from '../common/rest.ts';
import { commonEnvironment, fillIn, visibleDevices } from '../common/worker-environment.ts';
import { kvTransferConfig } from './connector.ts';
import { type Layout, layoutOf, processesOf } from './layout.ts';
import { withoutApiServer, withoutLaunch } from './options.ts';
import { type VllmConfig, vllmBackendSchema } from './schema.ts';

/** Options that are on by default, or whose default vLLM chooses. */
const ON_UNLESS_TOLD = { vllm: onUnlessTold('vllm'), dynamo: onUnlessTold('vllm', 'dynamo.vllm') };

/**
 * A server whose engine core has died logs this line, fails every request, and exits with code 0 some seconds
 * later: after 3 s on a free machine, later on a busy one, where the first failed request ended the point
 * before its cause was known. The line is the same from 0.10.2 to 0.32 (v1/engine/async_llm.py).
 */
const FATAL_LINES = [
  '^(?:\\([A-Za-z0-9_]{1,40} pid=[0-9]{1,10}\\) )?ERROR [-0-9:. ]{1,30}\\[[^\\]]{1,80}\\] AsyncLLM output_handler failed',
];

const configOf = configReader<VllmConfig>('vllm');

/** vLLM, wrapped by Dynamo, or as its own server for clients. */
export const vllm = {
  type: 'vllm',
  name: 'vLLM',
  schema: vllmBackendSchema,
  routers: { dynamo: 'all', vllm: 'all', 'vllm-router': 'all', smg: 'aggregated' },
  // Newer releases register each data-parallel rank, older ones register all of them once.
  registers: () => ({ each: 1, ranks: true }),
  notDone: stepsToProfile,
  workerNodesNeeded: (recipe) => (colocates(recipe) ? fewestNodes(recipe) : workerNodesNeeded(recipe)),
  allocateEndpoints: (recipe, nodes) => allocate(recipe, nodes, { colocate: colocates(recipe) }),
  endpointsToProcesses: (recipe, endpoints) => {
    const mooncake = (mode: EndpointMode) =>
      /mooncake/i.test(String(optionsOf(recipe, mode)['kv-transfer-config'] ?? ''));
    requireMooncakeUser(recipe, mooncake, 'a kv-transfer-config with a Mooncake connector');
    return processesOf(endpoints, (endpoint) => layoutFor(recipe, endpoint.mode, endpoint));
  },
  command,
  servedModel: (recipe) => ({ name: servedName(recipe), isGiven: givenName(recipe) !== undefined }),
  environment,
  files: ({ recipe, runtime, roles }) => {
    const mooncake = configOf(recipe).mooncake_kv_store;
    if (!mooncake) return [];
    const master = `${runtime.address(roles.infra)}:${mooncakePorts(runtime, roles).rpc}`;
    const content = { ...mooncake.store_config, master_server_address: master };
    return [
      { path: `${runtime.logDir}/${MOONCAKE_CONFIG}`, content: `${JSON.stringify(content, null, 2)}\n` },
    ];
  },
  ports: (context) => ({
    // Dynamo's workers have no server of their own.
    http: serves(context) ? servingPort(context) : 0,
    bootstrap: takesMooncake(context.recipe) && serves(context) ? context.process.ports.bootstrap : null,
    kvEvents: kvEventsArguments(context).length > 0 ? context.process.ports.kvEvents : null,
    nixl: context.process.mode === 'agg' ? null : nixlPort(context),
    system: isServer(context.recipe) ? 0 : context.process.ports.system,
    ...meetingPorts(context),
  }),
  healthProbe,
  progress,
  rest,
  fatalLines: FATAL_LINES,
} satisfies BackendProtocol;

/** Clients send requests directly to the only worker. */
const isDirect = (recipe: Recipe): boolean => recipe.frontend.type === 'vllm';

/** Each endpoint is a `vllm serve`, without Dynamo. */
const isServer = (recipe: Recipe): boolean => recipe.frontend.type !== 'dynamo';

const serves = ({ recipe, process }: WorkerContext): boolean => isServer(recipe) && process.rank === 0;

/** The port of the endpoint's first node for requests; without a router it is the clients' port. */
function servingPort({ recipe, runtime, ranks, process }: WorkerContext): number {
  const leader = ranks[0] ?? process;
  return isDirect(recipe) ? runtime.port(leader.node, PUBLIC_PORT) : leader.ports.http;
}

/** The port of health and metrics. */
const statusPort = (context: WorkerContext): number =>
  isServer(context.recipe) ? servingPort(context) : context.process.ports.system;

/** The ranks of an endpoint get its first port; each listens on that port plus its rank. */
function nixlPort(context: WorkerContext): number | null {
  const { ports, rank } = context.process;
  return ports.nixl !== null && 'local' in layoutAt(context) ? ports.nixl + rank : ports.nixl;
}

/** Whether prefill and decode workers share nodes from the start. */
function colocates(recipe: Recipe): boolean {
  const config = configOf(recipe);
  const shapes = shapesOf(recipe);
  if (!config.allow_prefill_decode_colocation || shapes.length < 2) return false;
  const wanted = shapes.reduce((sum, { workers, gpus }) => sum + workers * gpus, 0);
  return wanted <= recipe.resources.gpus_per_node || config.allow_prefill_decode_colocation_across_nodes;
}

/** The fewest nodes on which the workers of a recipe fit together. */
function fewestNodes(recipe: Recipe): number {
  const most = shapesOf(recipe).reduce((sum, { workers, nodesEach }) => sum + workers * nodesEach, 0);
  for (let count = 1; count < most; count++) {
    try {
      allocate(
        recipe,
        Array.from({ length: count }, (_, index) => String(index)),
        { colocate: true },
      );
      return count;
    } catch (error) {
      if (!(error instanceof PlanError)) throw error;
    }
  }
  return most;
}

const optionsOf = (recipe: Recipe, mode: EndpointMode): Flags =>
  optionsOfMode(configOf(recipe).vllm_config, mode);

/** @throws PlanError when the parallel sizes of the recipe do not make up the endpoint's GPUs */
function layoutFor(
  recipe: Recipe,
  mode: EndpointMode,
  endpoint: { nodes: readonly string[]; gpus: readonly number[] },
): Layout {
  const launch = configOf(recipe).dp_launch_mode;
  // Its own server starts all ranks of its node itself.
  return layoutOf(mode, optionsOf(recipe, mode), endpoint, isServer(recipe) ? 'none' : launch);
}

const layoutAt = ({ recipe, process, ranks }: WorkerContext): Layout => {
  const gpus = ranks.filter(({ node }) => node === process.node).flatMap((rank) => rank.gpus);
  return layoutFor(recipe, process.mode, { nodes: nodesOf(ranks), gpus });
};

const nodesOf = (ranks: readonly EndpointProcess[]): string[] => [...new Set(ranks.map(({ node }) => node))];

function command(context: WorkerContext): string[] {
  const { recipe, runtime, process } = context;
  const options = withProfiler(recipe, process.mode, optionsOf(recipe, process.mode));
  return isServer(recipe)
    ? server(context, options)
    : [
        ...nsysPrefix(context, { forks: true }),
        ...['python3', '-m', 'dynamo.vllm', '--model', runtime.modelPathInside],
        ...['--served-model-name', servedName(recipe)],
        ...(process.mode === 'agg' ? [] : ['--disaggregation-mode', process.mode]),
        ...transfer(context, options),
        ...devices(context),
        ...distribution(context),
        ...['--request-plane', recipe.dynamo.request_plane],
        ...(recipe.enable_config_dump ? ['--dump-config-to', configDump(context)] : []),
        ...kvEventsArguments(context),
        ...flagsToArgv(withoutLaunch(options, layoutAt(context)), ON_UNLESS_TOLD.dynamo),
      ];
}

/** `vllm serve`: the first node's process serves, the others compute for it. */
function server(context: WorkerContext, options: Flags): string[] {
  const { recipe, runtime, process, ranks } = context;
  const headless = process.rank > 0;
  const named = { 'served-model-name': servedName(recipe), ...withoutLaunch(options, 'server') };
  return [
    ...nsysPrefix(context, { forks: false }),
    ...[configOf(recipe).vllm_serve_binary, 'serve', runtime.modelPathInside],
    ...(headless
      ? []
      : ['--host', runtime.listenAddress(process.node), '--port', String(servingPort(context))]),
    ...(ranks.length > 1 ? multiNode(context) : []),
    ...(options.connector == null && process.mode === 'agg' ? [] : transfer(context, options)),
    ...devices(context),
    ...flagsToArgv(headless ? withoutApiServer(named) : named, ON_UNLESS_TOLD.vllm),
  ];
}

/** Clients use one name for all modes. */
const servedName = (recipe: Recipe): string => givenName(recipe) ?? baseName(recipe.model.path);

function givenName(recipe: Recipe): string | undefined {
  for (const mode of ['prefill', 'agg', 'decode'] as const) {
    const name = optionsOf(recipe, mode)['served-model-name'];
    if (name) return String(name);
  }
  return undefined;
}

function transfer({ recipe }: WorkerContext, options: Flags): string[] {
  if (options['kv-transfer-config'] != null) return [];
  const connector = options.connector ?? configOf(recipe).connector;
  const config = kvTransferConfig(connector);
  return config === null ? [] : ['--kv-transfer-config', config];
}

function devices({ recipe, process }: WorkerContext): string[] {
  if (configOf(recipe).set_cuda_visible_devices) return [];
  return ['--device-ids', process.gpus.join(',')];
}

/**
 * torch.distributed's port on the first node, unless the recipe sets another one (vllm/engine/arg_utils.py,
 * master_port).
 */
const MASTER_PORT = 29_501;

/**
 * The port on which the first rank of an endpoint waits for the others; two jobs on a node must not share it.
 */
function meetingPorts(context: WorkerContext): Record<string, number | null> {
  const { recipe, process, ranks } = context;
  if (process.rank !== 0 || ranks.length < 2) return {};
  const argv = isServer(recipe) ? multiNode(context) : distribution(context);
  const rpc = argv.indexOf('--data-parallel-rpc-port');
  const master = Number(optionsOf(recipe, process.mode)['master-port'] ?? MASTER_PORT);
  return {
    ...(rpc < 0 ? {} : { dpRpc: Number(argv[rpc + 1]) }),
    ...(argv.includes('--master-addr') ? { master } : {}),
  };
}

function distribution(context: WorkerContext): string[] {
  const { process, ranks } = context;
  const layout = layoutAt(context);
  if (layout.kind === 'tensor') return ranks.length > 1 ? multiNode(context) : [];
  if (layout.kind === 'spanning') return multiNode(context, true);
  const where =
    layout.kind === 'per_gpu'
      ? ['--data-parallel-rank', String(process.rank)]
      : [
          ...['--data-parallel-size-local', String(layout.local)],
          ...['--data-parallel-start-rank', String(process.rank)],
        ];
  return [
    ...where,
    ...meeting(context),
    // Every node's process registers with Dynamo and takes requests for its own ranks.
    ...(layout.kind === 'per_node' ? ['--data-parallel-hybrid-lb'] : []),
  ];
}

function multiNode(context: WorkerContext, dataParallel = false): string[] {
  const { runtime, process, ranks } = context;
  const nodes = nodesOf(ranks);
  const rank = nodes.indexOf(process.node);
  return [
    ...['--master-addr', runtime.address(nodes[0] ?? process.node)],
    ...['--nnodes', String(nodes.length), '--node-rank', String(rank)],
    ...(dataParallel ? meeting(context) : []),
    ...(rank > 0 ? ['--headless'] : []),
  ];
}

/**
 * The meeting port of an endpoint's data-parallel ranks. Endpoints with the same leading node have different
 * ports.
 */
function meeting({ recipe, runtime, process, ranks, all }: WorkerContext): string[] {
  const leader = ranks[0] ?? process;
  const isParallel = (mode: EndpointMode) => Number(optionsOf(recipe, mode)['data-parallel-size'] ?? 1) > 1;
  const led = all.filter((one) => one.rank === 0 && one.node === leader.node && isParallel(one.mode));
  const index = led.findIndex((one) => one.mode === leader.mode && one.index === leader.index);
  return [
    ...['--data-parallel-address', runtime.address(leader.node)],
    ...['--data-parallel-rpc-port', String(runtime.port(leader.node, dataParallelRpcPort(index)))],
  ];
}

/** Between steps, vLLM starts and stops Nsight itself. */
function withProfiler(recipe: Recipe, mode: EndpointMode, options: Flags): Flags {
  const steps = recipe.profiling.type === 'nsys' ? profiledSteps(recipe, mode) : null;
  if (!steps) return options;
  const config = {
    profiler: 'cuda',
    delay_iterations: steps.start,
    max_iterations: Math.max(0, steps.stop - steps.start),
  };
  return { ...options, 'profiler-config': pythonJson(config) };
}

const configDump = ({ runtime, process: { node, mode, index, rank } }: WorkerContext): string =>
  `${runtime.logDirInside}/${node}_${mode}_w${index}_r${rank}_config.json`;

function environment(context: WorkerContext): Record<string, string> {
  const { recipe, runtime, process, all } = context;
  const { mode, ports, node } = process;
  const config = configOf(recipe);
  return {
    ...commonEnvironment(context),
    ...mooncakeEnvironment(context),
    ...(mooncakeOf(recipe) ? { MOONCAKE_CONFIG_PATH: `${runtime.logDirInside}/${MOONCAKE_CONFIG}` } : {}),
    ...fillIn(config[`${recipeMode(mode)}_environment`], context),
    ...(ports.kvEvents === null ? {} : { DYN_VLLM_KV_EVENT_PORT: String(ports.kvEvents) }),
    ...(ports.nixl === null
      ? {}
      : {
          VLLM_NIXL_SIDE_CHANNEL_PORT: String(ports.nixl),
          VLLM_NIXL_SIDE_CHANNEL_HOST: runtime.address(node),
        }),
    ...(takesMooncake(recipe) && ports.bootstrap !== null
      ? { VLLM_MOONCAKE_BOOTSTRAP_PORT: String(ports.bootstrap) }
      : {}),
    ...(meetsOthers(context)
      ? {}
      : { VLLM_PORT: String(runtime.port(node, scanPort(all.indexOf(process)))) }),
    ...profilingEnvironment(context),
    ...(config.set_cuda_visible_devices ? visibleDevices(context) : {}),
  };
}

/**
 * VLLM_PORT makes processes that share a node search for free ports in different ranges. The parts of one
 * engine on several nodes agree on ports of their own, and different start ports would contradict that.
 */
const meetsOthers = (context: WorkerContext): boolean => {
  const { kind } = layoutAt(context);
  return context.ranks.length > 1 && (kind === 'tensor' || kind === 'spanning');
};

/** A process without a server is ready when its leader is. */
function healthProbe(context: WorkerContext): ProbeSpec {
  const { recipe, runtime, ranks, process } = context;
  const serves = process.ports.http > 0 ? process : (ranks[0] ?? process);
  const port = isServer(recipe) ? servingPort(context) : serves.ports.system;
  const host = isServer(recipe) ? (ranks[0] ?? process).node : serves.node;
  return { kind: 'http', host: runtime.address(host), port, path: '/health' };
}

/** vLLM's own metrics (https://docs.vllm.ai/en/latest/design/metrics.html); Dynamo forwards them. */
function progress(context: WorkerContext): EngineProgress | undefined {
  const { recipe, runtime, process } = context;
  const { node, ports, rank } = process;
  if (isServer(recipe) ? rank > 0 : ports.http === 0) return undefined;
  return {
    kind: 'metrics',
    host: runtime.address(node),
    port: statusPort(context),
    path: '/metrics',
    running: [
      'vllm:num_requests_running',
      'vllm:num_requests_waiting',
      ...(isServer(recipe) ? [] : DYNAMO_PROGRESS.running),
    ],
    counters: [
      'vllm:generation_tokens_total',
      'vllm:prompt_tokens_total',
      'vllm:kv_cache_usage_perc',
      ...(isServer(recipe) ? [] : DYNAMO_PROGRESS.counters),
    ],
  };
}

/**
 * Its own server flushes its caches in its development mode; under Dynamo there is only the status server.
 */
function rest(context: WorkerContext): ReturnType<NonNullable<BackendProtocol['rest']>> {
  const { recipe, runtime, process } = context;
  const place = {
    host: runtime.address(process.node),
    port: statusPort(context),
  };
  const mode = `${recipeMode(process.mode)}_environment` as const;
  const flush = {
    ...place,
    // Includes the caches of a connector (entrypoints/serve/dev/cache/api_router.py, 0.32); other releases
    // ignore the parameter.
    path: '/reset_prefix_cache?reset_external=true',
    advice: `VLLM_SERVER_DEV_MODE: "1" in backend.${mode} makes vLLM offer it`,
  };
  return {
    flush: isServer(recipe) ? [flush] : [],
    ...(isServer(recipe) ? {} : { why: 'workers of Dynamo offer no /reset_prefix_cache' }),
    load: {
      ...place,
      path: '/metrics',
      gauges: [...DYNAMO_GAUGES, 'vllm:num_requests_running', 'vllm:num_requests_waiting'],
    },
    ...(process.mode === 'decode'
      ? {}
      : {
          cacheFigures: {
            ...place,
            path: '/metrics',
            hits: ['vllm:prefix_cache_hits_total', 'vllm:external_prefix_cache_hits_total'],
            prompts: ['vllm:prefix_cache_queries_total'],
          },
        }),
  };
}
