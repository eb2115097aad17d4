import { requireUnset } from '../../backends/common/requirements.ts';
import { backendFor } from '../../backends/index.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { Finding } from '../../model/checks.ts';
import type { EndpointProcess } from '../../model/kinds.ts';
import { modesOf, recipeOf } from '../../model/recipe-of.ts';
import { workerId } from '../../model/worker-id.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { flagsToArgv, optionName } from '../../recipe/values/flags.ts';
import { entryOn } from '../common/placement.ts';
import { frontendProcess, modelAnswers, routerEnvironment, routerImage } from '../common/process.ts';
import type { FrontendContext, FrontendProtocol } from '../common/protocol.ts';
import {
  configuresDiscovery,
  endpointsFile,
  type LlmdWorker,
  POOL,
  pickerFile,
  pluginsOf,
} from './config.ts';
import { envoyFile } from './envoy.ts';
import { areProxied, proxyPort } from './sidecar.ts';

/** Options of the picker that follow from the plan. */
const OWN = ['pool-name', 'pool-namespace', 'config-file', 'config-text'];
const OWN_PORTS = ['grpc-port', 'grpc-health-port', 'metrics-port', 'secure-serving'];
const PRECISE = 'precise-prefix-cache-producer';

const GRPC = 9002;
const HEALTH = 9003;
const METRICS = 9090;
const ADMIN = 9901;

/** Workers whose metrics the picker has read lately (llm-d-router, pkg/epp/metrics/llm_d_router_metrics.go). */
const READY = 'llm_d_epp_ready_endpoints';

/**
 * llm-d's router without Kubernetes: Envoy, and the endpoint picker that it asks about each request (llm-d-router v0.9 to
 * v0.11; srt-slurm 2.x, docs/llm-d.md). The picker reads its workers from a file when it starts, and keeps them. Decode
 * workers are reached through sidecars, a service (services/llm-d-sidecar.ts).
 */
export const llmd: FrontendProtocol = {
  type: 'llm-d',
  summary: "llm-d's endpoint picker behind Envoy",
  engines: { vllm: 'all' },
  needsEtcd: false,
  takesTokenIds: false,
  entry: (context) => entryOn(context, context.roles.head),
  cannotRun,
  processes(context) {
    const { recipe, runtime, roles, processes } = context;
    requireUnset('frontend.args', recipe.frontend.args, [...OWN, ...OWN_PORTS]);
    const { node, port } = entryOn(context, roles.head);
    const place = (planned: number) => runtime.port(node, planned);
    const leaders = processes.filter(({ rank }) => rank === 0);
    const workers = leaders.map((leader) => workerOf(context, leader));
    const file = (name: string, content: string) => ({ path: `${runtime.logDir}/${name}`, content });
    const inside = (name: string) => `${runtime.logDirInside}/${name}`;
    const renders = leaders.find(({ mode }) => mode === 'prefill') ?? leaders[0];
    const shared = { role: 'frontend', node, image: routerImage(context) } as const;
    const picker: ProcessSpec = {
      ...frontendProcess(context, {
        ...{ ...shared, id: 'frontend-0-epp', phase: 'frontend', port: place(METRICS) },
        argv: [
          ...['epp', `--pool-name=${POOL}`, `--pool-namespace=${POOL}`],
          ...[`--config-file=${inside('llm-d-epp-config.yaml')}`, `--grpc-port=${place(GRPC)}`],
          ...[`--grpc-health-port=${place(HEALTH)}`, `--metrics-port=${place(METRICS)}`],
          ...['--secure-serving=false', ...flagsToArgv(recipe.frontend.args)],
        ],
        env: routerEnvironment(context, node),
        path: '/metrics',
        metrics: place(METRICS),
        gauge: { name: READY, least: workers.length, label: 'workers' },
        otherPorts: { grpc: place(GRPC), health: place(HEALTH) },
        files: [
          file('llm-d-endpoints.yaml', endpointsFile(workers)),
          file(
            'llm-d-epp-config.yaml',
            pickerFile(recipe.frontend.epp_config, {
              endpoints: inside('llm-d-endpoints.yaml'),
              isDisaggregated: areProxied(processes),
              renders: renders ? `http://${runtime.address(renders.node)}:${renders.ports.http}` : '',
              model: backendFor('vllm')?.servedModel(recipe, runtime).name ?? '',
            }),
          ),
        ],
      }),
    };
    const listen = runtime.listenAddress(node);
    const envoy = frontendProcess(context, {
      ...{ ...shared, id: 'frontend-0', phase: 'frontend', port },
      // Instances of one machine must not look for each other.
      argv: ['envoy', '-c', inside('llm-d-envoy.yaml'), '--disable-hot-restart'],
      env: routerEnvironment(context, node),
      path: '/v1/models',
      steps: modelAnswers(),
      otherPorts: { admin: place(ADMIN) },
      files: [
        file(
          'llm-d-envoy.yaml',
          envoyFile({
            ...{ listen, port, admin: place(ADMIN), accessLog: inside('llm-d-envoy-access.log') },
            picker: { address: listen === '0.0.0.0' ? '127.0.0.1' : listen, port: place(GRPC) },
          }),
        ),
      ],
    });
    return [picker, { ...envoy, order: 1 }];
  },
};

function workerOf({ runtime, processes }: FrontendContext, process: EndpointProcess): LlmdWorker {
  const { mode, node, ports } = process;
  const isProxied = mode === 'decode' && areProxied(processes);
  return {
    ...{ id: workerId(process), mode, address: runtime.address(node) },
    port: isProxied ? proxyPort(runtime, processes, process) : ports.http,
  };
}

function cannotRun(recipe: Recipe): Finding[] {
  const { frontend, resources } = recipe;
  const config = frontend.epp_config;
  const path = ['frontend', 'epp_config'];
  const isDisaggregated = (resources.prefill_workers ?? 0) > 0;
  const asks = (mode: 'prefill' | 'decode' | 'agg'): Finding[] => {
    const { backend } = recipeOf(recipe, mode);
    const options = 'vllm_config' in backend ? (backend.vllm_config as Record<string, unknown> | null) : null;
    const own = Object.keys((options?.[mode === 'agg' ? 'aggregated' : mode] as object | null) ?? {});
    return own.some((name) => optionName(name) === 'data-parallel-external-lb')
      ? [
          {
            path: ['frontend', 'type'],
            text: `is llm-d, and ${mode} workers have data-parallel-external-lb: srtctl does not start a server for each rank yet`,
          },
        ]
      : [];
  };
  return [
    ...(configuresDiscovery(config)
      ? [{ path, text: 'must not say how workers are found, because srtctl writes their file' }]
      : []),
    ...(pluginsOf(config).some(({ type }) => type === PRECISE)
      ? [{ path, text: `has ${PRECISE}, and workers do not send it their KV events yet` }]
      : []),
    ...(isDisaggregated && config && !Array.isArray(config.schedulingProfiles)
      ? [{ path, text: 'needs schedulingProfiles for prefill and decode, and a disagg-profile-handler' }]
      : []),
    ...(frontend.enable_multiple_frontends && nodesOf(recipe) > 1
      ? [
          {
            path: ['frontend', 'enable_multiple_frontends'],
            text: 'must be false with llm-d: its picker keeps what it knows in memory',
          },
        ]
      : []),
    ...modesOf(recipe).flatMap(asks),
  ];
}

const nodesOf = ({ resources }: Recipe): number =>
  (resources.prefill_nodes ?? 0) + (resources.decode_nodes ?? 0) + (resources.agg_nodes ?? 0);
