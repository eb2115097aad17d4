import { isDeepStrictEqual } from 'node:util';
import { backendFor } from '../../backends/index.ts';
import { usesStore } from '../../backends/trtllm/mooncake-store.ts';
import type { BenchmarkKey } from '../../benchmarks/common/protocol.ts';
import { benchmarkFor, benchmarkSchema } from '../../benchmarks/index.ts';
import { frontendFor } from '../../frontends/index.ts';
import { VAIN, type Way, YET } from '../../model/checks.ts';
import { ofEngines } from '../../model/recipe-of.ts';
import { FIXED_OPTIONS, OF_SRUN } from '../../services/common/own-step.ts';
import { serviceKind } from '../../services/index.ts';
import type { ClusterConfig } from '../schema/cluster.ts';
import type { Recipe } from '../schema/schema.ts';
import type { Service } from '../schema/services.ts';
import { telemetryNotDone } from './not-done-telemetry.ts';

/** An unsupported option without which the run is valid. */
export interface NotDone {
  /** `benchmark.dataset_path` */
  readonly path: string;
  readonly text: string;
}

type Rule = readonly [path: string, isAsked: (recipe: Recipe, way: Way) => boolean, text: string];

/**
 * Rules for sections without a kind. Kinds have their own rules (model/checks.ts), reported between these two
 * parts.
 */
const SIDECAR = [
  'sidecar_port',
  'sidecar_binary',
  'sidecar_startup_timeout',
  'sidecar_context_length',
  'sidecar_args',
] as const;

const beforeKinds: readonly Rule[] = [
  [
    'observability.enable_otel',
    ({ observability }) => observability?.enable_otel === true && !observability.otel_endpoint,
    `${VAIN}traces need otel_endpoint`,
  ],
  [
    'observability.nsys',
    ({ observability }) => observability?.nsys?.enabled === true,
    `${YET}Nsight Systems does not run; profiling.type: nsys-time records workers`,
  ],
  [
    'benchmark.sweep',
    ({ benchmark }) => benchmark.sweep != null,
    `${VAIN}no benchmark reads it; write its lists as the recipe's own section sweep, beside mode: zip or mode: grid`,
  ],
  ...SIDECAR.map(
    (key): Rule => [
      `dynamo.${key}`,
      ({ dynamo }) => dynamo[key] != null && dynamo.engine_mode !== 'sidecar',
      `${VAIN}engines run in Dynamo's workers (dynamo.engine_mode: sidecar gives them sidecars)`,
    ],
  ),
  ...(['prefill', 'decode', 'agg'] as const).map(
    (mode): Rule => [
      `roles.${mode}.mooncake_store_config`,
      (recipe) => recipe.roles?.[mode]?.mooncake_store_config != null && !usesStore(recipe, mode),
      `${VAIN}only TensorRT-LLM workers read it, with kv_connector_config: {connector: mooncake-store} and a mooncake-master`,
    ],
  ),
  [
    'frontend.epp_config',
    ({ frontend }) => frontend.epp_config != null && frontend.type !== 'llm-d',
    `${VAIN}only a llm-d frontend reads it`,
  ],
  [
    'post_eval',
    ({ post_eval: evaluation }) => evaluation != null && evaluation.type == null,
    `${VAIN}post_eval.type names no evaluation`,
  ],
  [
    'post_eval.command',
    ({ post_eval: evaluation }) => evaluation?.type != null && evaluation.command != null,
    `${YET}the evaluation that post_eval.type names is run`,
  ],
  [
    'post_eval.passthrough_env',
    ({ post_eval: evaluation }) => evaluation?.type != null && evaluation.passthrough_env.length > 0,
    `${YET}the evaluation has the environment of the benchmark`,
  ],
  ['reporting.publishers', ({ reporting }) => reporting?.publishers != null, `${YET}no publisher is started`],
  [
    'reporting.status.logging-stream-interval',
    ({ reporting }) => reporting?.status?.['logging-stream-interval'] != null,
    `${YET}no log is sent during the run; reporting.s3 uploads all of them at its end`,
  ],
  [
    'reporting.ai_analysis',
    ({ reporting }) => reporting?.ai_analysis?.enabled === true,
    `${YET}failures are not analysed`,
  ],
  [
    'reporting.s3.archive',
    ({ reporting }) => (reporting?.s3?.archive ?? []).length > 0,
    `${YET}each file is uploaded by itself`,
  ],
  [
    'host_setup',
    ({ host_setup: host }, { mock, hostSetup = !mock }) =>
      !hostSetup && (host?.commands.length ?? 0) + (host?.teardown.length ?? 0) > 0,
    `${VAIN}its commands are left out; --host-setup runs them`,
  ],
  ['output.log_dir', ({ output }) => output?.log_dir != null, `${VAIN}logs are in the job's own directory`],
  [
    'profiling.type',
    ({ profiling }) => profiling.type === 'torch',
    `${YET}the profiler of the engine is not started, so it records nothing`,
  ],
];

const afterKinds: readonly Rule[] = [
  [
    'model.container',
    ({ model }, { containers }) =>
      containers && /(?:^|[^a-z])(?:alpine|musl)(?:[^a-z]|$)/i.test(model.container),
    `${YET}an agent needs an image with glibc, and this one's name says that it has musl: name a Node for it under runtime in srtslurm.yaml`,
  ],
  [
    'benchmark.use_chat_template',
    ({ benchmark, frontend }) =>
      benchmark.type === 'sa-bench' &&
      benchmark.use_chat_template === false &&
      frontendFor(frontend.type)?.chatAlone === true,
    `${VAIN}this router has /v1/chat/completions alone, where the engine applies its chat template`,
  ],
  [
    'model.stage_dir',
    ({ model }) => model.stage_dir != null && model.path.startsWith('hf:'),
    `${YET}a model of the hub is kept in HF_HOME, and is not copied to the disks of the nodes`,
  ],
];

/** All recipe options that srtctl does not support. */
export function notDoneOf(recipe: Recipe, way: Way): NotDone[] {
  const found = (rules: readonly Rule[]): NotDone[] =>
    rules.flatMap(([path, isAsked, text]) => (isAsked(recipe, way) ? [{ path, text }] : []));
  const kinds = [frontendFor(recipe.frontend.type), benchmarkFor(recipe.benchmark.type)];
  const ofKinds = [
    ...ofEngines(recipe, (view) => backendFor(view.backend.type)?.notDone?.(view, way)),
    ...kinds.flatMap((kind) => kind?.notDone?.(recipe, way) ?? []),
  ];
  return [
    ...telemetryNotDone(recipe),
    ...found(beforeKinds),
    ...ofKinds.map(({ path, text }) => ({ path: path.join('.'), text })),
    ...found(afterKinds),
    ...ofBenchmark(recipe),
    ...ofServices(recipe, way),
  ];
}

function ofServices(recipe: Recipe, way: Way): NotDone[] {
  return (recipe.services ?? []).flatMap((service, at) => {
    if (!service.enabled) return [];
    const found = [
      ...ofService(service, way),
      ...(serviceKind(service.type)?.notDone?.(service, recipe, way) ?? []),
    ];
    return found.map(({ path, text }) => ({ path: [`services[${at}]`, ...path].join('.'), text }));
  });
}

function ofService(service: Service, way: Way): { path: string[]; text: string }[] {
  return [
    ...srunOf(service, way),
    ...(way.mock && service.source != null
      ? [{ path: ['source'], text: `${VAIN}--mock fetches and builds nothing` }]
      : []),
  ];
}

/** Settings of a service's srun, which only pyxis needs; and those that srtctl itself decides. */
function srunOf(
  service: Service,
  { containers, runtime = containers ? 'pyxis' : 'none' }: Way,
): { path: string[]; text: string }[] {
  if (runtime === 'pyxis')
    return Object.keys(service.srun_options)
      .filter((name) => FIXED_OPTIONS.has(name))
      .map((name) => ({
        path: ['srun_options', name],
        text: `${VAIN}srtctl decides where a service runs, and shares its node with the other processes`,
      }));
  const asked = OF_SRUN.filter((key) => {
    const value = service[key];
    return value != null && (typeof value !== 'object' || Object.keys(value).length > 0);
  });
  return asked.map((key) => ({
    path: [key],
    text: `${VAIN}without pyxis no srun starts a service, and it may use every CPU of its node`,
  }));
}

/** The same for srtslurm.yaml. */
export function notDoneOfCluster(cluster: ClusterConfig): NotDone[] {
  const asked: [string, boolean, string][] = [
    [
      'default_gpu_exporter',
      cluster.default_gpu_exporter != null,
      `${YET}the exporter is read where it runs, and srtctl does not start it`,
    ],
    [
      'launcher',
      cluster.launcher != null && cluster.launcher !== 'slurm',
      `${VAIN}apply --local runs a recipe on this machine`,
    ],
    [
      'docker_args',
      (cluster.docker_args?.length ?? 0) > 0,
      `${YET}docker run gets srtctl's own options alone`,
    ],
  ];
  return asked.flatMap(([path, isAsked, text]) => (isAsked ? [{ path, text }] : []));
}

/** Keys of every type: placement of the process, and its environment. */
const OF_ALL: readonly BenchmarkKey[] = [
  'type',
  'env',
  'sweep',
  'stream_output',
  'client_placement',
  'client_dedicated_node',
  'colocate_with_frontend',
];
function ofBenchmark({ benchmark }: Recipe): NotDone[] {
  const { type } = benchmark;
  const kind = benchmarkFor(type);
  if (!kind) return [];
  const preset: Partial<Record<string, unknown>> = benchmarkSchema.parse({ type });
  return (Object.keys(benchmark) as BenchmarkKey[]).flatMap((key) => {
    if (OF_ALL.includes(key) || kind.uses.includes(key)) return [];
    const value = benchmark[key];
    if (value == null || isDeepStrictEqual(value, preset[key])) return [];
    if (key === 'dataset_name' && value === 'random') return [];
    const own = kind.unused?.[key];
    return [{ path: `benchmark.${key}`, text: own ?? `${VAIN}a benchmark of type ${type} does not use it` }];
  });
}
