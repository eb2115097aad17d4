import type { ProbeSpec } from '../../messages/spec/process-spec.ts';
import type { Endpoint, EndpointMode, EndpointProcess, ServedModel } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { type Flags, flagsToArgv } from '../../recipe/values/flags.ts';
import { baseName } from '../../recipe/values/model-name.ts';
import { distInitPort, ncclPort, PUBLIC_PORT } from '../../recipe/values/ports.ts';
import { allocate, oneOf, toProcesses, workerNodesNeeded } from '../common/allocation.ts';
import { configReader, optionsOf } from '../common/config.ts';
import { kvEventsArguments } from '../common/kv-events.ts';
import { mooncakeEnvironment, requireMooncakeUser } from '../common/mooncake.ts';
import { nsysPrefix, profilingEnvironment } from '../common/profiling.ts';
import { noStepsToProfile } from '../common/profiling-checks.ts';
import {
  type BackendProtocol,
  type EngineProgress,
  recipeMode,
  type WorkerContext,
} from '../common/protocol.ts';
import { DYNAMO_GAUGES, DYNAMO_PROGRESS } from '../common/rest.ts';
import { grpcPort, hasSidecar } from '../common/sidecar.ts';
import { commonEnvironment, fillIn, visibleDevices } from '../common/worker-environment.ts';
import { publishedPorts, ranksOf, withLoadPort } from './published.ts';
import { type SglangConfig, sglangBackendSchema } from './schema.ts';
import { beside, besideArguments, besideEnvironment, sharesNcclPort } from './sidecar.ts';

/** The prefix of SGLang's logger, or nothing: `[2026-11-20 12:30:44] `. */
const LOGGED = '^(?:\\[[^\\]]{1,40}\\] )?';

/**
 * A server whose port is in use logs that and then waits for ever, with its scheduler and detokenizer; one
 * whose scheduler or detokenizer was killed investigates for 5 to 65 s before it ends (0.5.23,
 * srt/utils/watchdog.py; recorded in test/why/corpus/real-programs.yaml).
 */
const FATAL_LINES = [
  `${LOGGED}ERROR: {1,8}\\[Errno [0-9]{1,4}\\] error while attempting to bind on address`,
  `${LOGGED}Subprocess [A-Za-z0-9_]{1,40} \\(pid=[0-9]{1,10}\\) crashed with exit code `,
];

const configOf = configReader<SglangConfig>('sglang');

/** SGLang, as its own server behind its router, or wrapped by Dynamo. */
export const sglang = {
  type: 'sglang',
  name: 'SGLang',
  schema: sglangBackendSchema,
  routers: { dynamo: 'all', 'sglang-router': 'all', sglang: 'all', smg: 'all', 'vllm-router': 'aggregated' },
  sidecar: 'all',
  notDone: noStepsToProfile,
  workerNodesNeeded,
  allocateEndpoints: (recipe, nodes) => {
    const endpoints = allocate(recipe, nodes);
    requireDivisible(recipe, endpoints);
    return endpoints;
  },
  endpointsToProcesses: (recipe, endpoints, ports) => {
    const transfers = (mode: EndpointMode) =>
      flagsOf(recipe, mode)['disaggregation-transfer-backend'] === 'mooncake';
    requireMooncakeUser(recipe, transfers, 'disaggregation-transfer-backend: mooncake');
    return toProcesses(endpoints, ports);
  },
  command,
  servedModel,
  ports,
  environment,
  healthProbe,
  progress,
  rest,
  fatalLines: FATAL_LINES,
} satisfies BackendProtocol;

/**
 * SGLang spreads the ranks of a worker evenly over its nodes (`check_server_args` of server_args.py, 0.5.9:
 * tp_size * pp_size must be divisible by nnodes).
 * @throws PlanError when the recipe's sizes do not allow that
 */
function requireDivisible(recipe: Recipe, endpoints: readonly Endpoint[]): void {
  for (const { mode, nodes } of endpoints) {
    const flags = flagsOf(recipe, mode);
    const size = (...names: string[]) =>
      Number(names.map((name) => flags[name]).find((x) => x != null) ?? Number.NaN);
    const tensor = size('tensor-parallel-size', 'tp-size', 'tp');
    const pipeline = size('pipeline-parallel-size', 'pp-size', 'pp') || 1;
    if (!Number.isInteger(tensor) || (tensor * pipeline) % nodes.length === 0) continue;
    throw new PlanError(
      'does-not-fit',
      `SGLang cannot spread ${tensor * pipeline} ranks evenly over the ${nodes.length} nodes of ${oneOf(mode)}`,
      { place: { file: '', path: `resources.gpus_per_${mode}` } },
    );
  }
}

/** Clients use one name for all modes: where two differ, that of the workers that answer. */
function servedModel(recipe: Recipe): ServedModel {
  const mode = (recipe.resources.agg_workers ?? 0) > 0 ? 'agg' : 'decode';
  return { name: nameOf(recipe, mode), isGiven: flagsOf(recipe, mode)['served-model-name'] != null };
}

const nameOf = (recipe: Recipe, mode: EndpointMode): string =>
  String(flagsOf(recipe, mode)['served-model-name'] ?? baseName(recipe.model.path));

/** Dynamo's worker has the engine in it. */
const underDynamo = (recipe: Recipe): boolean => recipe.frontend.type === 'dynamo' && !hasSidecar(recipe);

/** The only worker serves clients itself. */
const isDirect = (recipe: Recipe): boolean => recipe.frontend.type === 'sglang';

/** The port of a rank's server; without a router that of the first rank is the clients' port. */
const servingPort = ({ recipe, runtime, process: { node, rank, ports } }: WorkerContext): number =>
  isDirect(recipe) && rank === 0 ? runtime.port(node, PUBLIC_PORT) : ports.http;

/** A router sends decode workers to the planned port. (Dynamo's workers register theirs.) */
const withoutBootstrapPort = ({ 'disaggregation-bootstrap-port': _, ...flags }: Flags): Flags => flags;

function command(context: WorkerContext): string[] {
  const { recipe, runtime, process } = context;
  const dynamo = underDynamo(recipe);
  // The job sets the model's path; some recipes also contain it, as a path in a container.
  const { 'served-model-name': _, 'model-path': __, ...given } = flagsOf(recipe, process.mode);
  const flags = dynamo || process.mode !== 'prefill' ? given : withoutBootstrapPort(given);
  const published = publishedPorts(context);
  const argv = [
    ...nsysPrefix(context, { forks: dynamo }),
    ...['python3', '-m', dynamo ? 'dynamo.sglang' : 'sglang.launch_server'],
    ...['--model-path', runtime.modelPathInside],
    ...['--served-model-name', nameOf(recipe, process.mode)],
    ...['--host', runtime.listenAddress(process.node), '--port', String(servingPort(context))],
    ...(sharesNcclPort(context, flags) ? [] : ['--nccl-port', String(ncclPortOf(context))]),
    ...disaggregation(context),
    ...besideArguments(context, flags),
    ...distribution(context),
    ...(dynamo && recipe.enable_config_dump ? ['--dump-config-to', configDump(context)] : []),
    ...kvEventsArguments(context, published.replay),
    ...(dynamo ? ['--request-plane', recipe.dynamo.request_plane] : []),
    ...flagsToArgv(withLoadPort(flags, published)),
  ];
  return beside(context, argv, flags);
}

const flagsOf = (recipe: Recipe, mode: EndpointMode): Flags =>
  optionsOf(configOf(recipe).sglang_config, mode);

function disaggregation({ process: { mode, ports } }: WorkerContext): string[] {
  if (mode === 'agg') return [];
  return [
    ...['--disaggregation-mode', mode],
    ...(ports.bootstrap === null ? [] : ['--disaggregation-bootstrap-port', String(ports.bootstrap)]),
  ];
}

/**
 * Under Dynamo it has no server of its own; torch.distributed meets on the first rank of several, else on
 * itself.
 */
function ports(context: WorkerContext): ReturnType<NonNullable<BackendProtocol['ports']>> {
  const { recipe, process, ranks } = context;
  const { http, bootstrap, kvEvents, system } = process.ports;
  const leads = process.rank === 0;
  return {
    http: underDynamo(recipe) ? 0 : leads ? servingPort(context) : http,
    bootstrap: leads ? bootstrap : null,
    kvEvents: kvEventsArguments(context).length > 0 ? kvEvents : null,
    ...publishedPorts(context),
    nixl: null,
    system: recipe.frontend.type === 'dynamo' ? system : 0,
    ...(hasSidecar(recipe) && besideArguments(context, flagsOf(recipe, process.mode)).includes('--grpc-port')
      ? { grpc: grpcPort(context) }
      : {}),
    ...(ranks.length > 1 ? { distInit: leads ? meetingPort(context) : null } : { nccl: ncclPortOf(context) }),
  };
}

const ncclPortOf = ({ runtime, process, all }: WorkerContext): number =>
  runtime.port(process.node, ncclPort(all.indexOf(process)));

function distribution(context: WorkerContext): string[] {
  const { runtime, process, ranks } = context;
  const [leader] = ranks;
  if (ranks.length < 2 || !leader) return [];
  return [
    ...['--dist-init-addr', `${runtime.address(leader.node)}:${meetingPort(context)}`],
    ...['--nnodes', String(ranks.length), '--node-rank', String(process.rank)],
  ];
}

/**
 * The meeting port of an endpoint's ranks. Endpoints of several nodes with the same leading node have
 * different ports.
 */
function meetingPort({ runtime, process, ranks, all }: WorkerContext): number {
  const leader = ranks[0] ?? process;
  const ledBy = all.filter(
    (one) =>
      one.rank === 0 &&
      one.node === leader.node &&
      all.some((rank) => rank.rank > 0 && sameEndpoint(rank, one)),
  );
  return runtime.port(leader.node, distInitPort(ledBy.findIndex((one) => sameEndpoint(one, leader))));
}

const sameEndpoint = (a: EndpointProcess, b: EndpointProcess): boolean =>
  a.mode === b.mode && a.index === b.index;

const configDump = ({ runtime, process: { node, mode, index } }: WorkerContext): string =>
  `${runtime.logDirInside}/${node}_${mode}_w${index}_config.json`;

function environment(context: WorkerContext): Record<string, string> {
  const { recipe, process } = context;
  const mode = `${recipeMode(process.mode)}_environment` as const;
  return {
    ...commonEnvironment(context),
    ...besideEnvironment(context),
    ...mooncakeEnvironment(context),
    ...fillIn(configOf(recipe)[mode], context),
    ...profilingEnvironment(context),
    ...visibleDevices(context),
  };
}

/** A follower has no server, so its probe is that of its leader. */
function healthProbe(context: WorkerContext): ProbeSpec {
  const { recipe, runtime, ranks, process } = context;
  const leader = ranks[0] ?? process;
  const isRegistered = recipe.frontend.type === 'dynamo';
  const port = isRegistered ? leader.ports.system : servingPort({ ...context, process: leader });
  const probe: ProbeSpec = { kind: 'http', host: runtime.address(leader.node), port, path: '/health' };
  // Its own /health generates a token (as /health_generate); that of a Dynamo worker does not.
  return isRegistered ? probe : { ...probe, generates: true };
}

/**
 * What leaves the server, and prefilled tokens, which precede the first one that leaves; a decode worker prefills none.
 * The scheduler counts decoded tokens too while the detokenizer hangs (SGLang 0.5.23,
 * srt/observability/metrics_collector.py and srt/managers/tokenizer_manager.py: collect_metrics).
 */
const SENT = 'sglang:inter_token_latency_seconds_count';
const PREFILLED = 'sglang:realtime_tokens_total{mode=~"prefill_.*"}';

/**
 * SGLang's own metrics (https://docs.sglang.io/references/production_metrics.html), available with
 * --enable-metrics; Dynamo forwards them, and adds its own. SGLang's token counters grow only when requests
 * end, so metrics that change with each batch count too. The scheduler updates its counts with every 40th
 * decode batch and may report 0 while requests hang, so open HTTP requests count as well (not in 0.5.5);
 * probes and /metrics are open there too, under other endpoints.
 */
function progress(context: WorkerContext): EngineProgress | undefined {
  const { recipe, runtime, process } = context;
  if (process.rank > 0) return undefined;
  const { node, ports } = process;
  return {
    kind: 'metrics',
    host: runtime.address(node),
    port: underDynamo(recipe) ? ports.system : servingPort(context),
    path: '/metrics',
    running: [
      'sglang:num_running_reqs',
      'sglang:num_queue_reqs',
      'sglang:http_requests_active{endpoint=~"/v1/(chat/)?completions|/generate"}',
      // Requests that wait for a KV transfer are in none of the metrics above.
      'sglang:num_prefill_bootstrap_queue_reqs',
      'sglang:num_prefill_inflight_queue_reqs',
      'sglang:num_decode_prealloc_queue_reqs',
      'sglang:num_decode_transfer_queue_reqs',
      ...(underDynamo(recipe) ? DYNAMO_PROGRESS.running : []),
    ],
    counters: [
      ...(underDynamo(recipe) ? DYNAMO_PROGRESS.counters : []),
      'sglang:generation_tokens_total',
      'sglang:prompt_tokens_total',
      ...[SENT, PREFILLED],
    ],
    computed: ['sglang:realtime_tokens_total', 'sglang:gen_throughput', 'sglang:token_usage'],
    sent: process.mode === 'decode' ? [SENT] : [SENT, PREFILLED],
  };
}

/** srt/observability/metrics_collector.py, 0.5.23. The gauges are written with every 40th decode batch. */
const SCHEDULER_METRICS = {
  preemptions: ['sglang:num_retracted_requests_total'],
  kvCacheUsage: ['sglang:token_usage'],
  queue: [
    'sglang:num_queue_reqs',
    'sglang:num_prefill_bootstrap_queue_reqs',
    'sglang:num_decode_prealloc_queue_reqs',
    'sglang:num_decode_transfer_queue_reqs',
  ],
  speculation: {
    steps: ['sglang:spec_verify_calls_total'],
    tokens: ['sglang:generation_tokens_total'],
    drafted: [],
    hasOwnToken: true,
  },
};

/**
 * Its own server flushes its caches unless requests run; the storage behind its hierarchical cache has a
 * separate flush. Under Dynamo there is only the status server.
 */
function rest(context: WorkerContext): ReturnType<NonNullable<BackendProtocol['rest']>> {
  const { recipe, runtime, process } = context;
  const host = runtime.address(process.node);
  const port = underDynamo(recipe) ? process.ports.system : servingPort(context);
  const flags = flagsOf(recipe, process.mode);
  const cacheFigures = {
    ...{ host, port, path: '/metrics' },
    hits: ['sglang:cached_tokens_total'],
    prompts: ['sglang:prompt_tokens_total'],
  };
  const figures = {
    ...(process.mode === 'decode' || !flags['enable-metrics'] ? {} : { cacheFigures }),
    ...(flags['enable-metrics']
      ? { engineFigures: { host, port, path: '/metrics', ...SCHEDULER_METRICS } }
      : {}),
  };
  if (underDynamo(recipe))
    return {
      flush: [],
      why: 'workers of Dynamo offer no /flush_cache',
      load: { host, port, path: '/metrics', gauges: [...DYNAMO_GAUGES, 'sglang:num_running_reqs'] },
      ...figures,
    };
  const storage = flags['enable-hierarchical-cache'] && flags['hicache-storage-backend'] != null;
  const isParallel = ranksOf(flags) > 1;
  return {
    flush: [
      { host, port, path: '/flush_cache' },
      ...(storage
        ? [{ host, port, path: '/hicache/storage-backend/clear', older: '/clear_hicache_storage_backend' }]
        : []),
    ],
    load: null,
    // /flush_cache returns the answer of the first rank (srt/managers/tokenizer_control_mixin.py, 0.5.23).
    ...(isParallel ? { ranks: { host, port, path: '/v1/loads?include=core', older: '/get_load' } } : {}),
    ...figures,
  };
}
