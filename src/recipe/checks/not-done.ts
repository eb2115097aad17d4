import { isDeepStrictEqual } from 'node:util';
import { type BenchmarkType, benchmarkSchema, runnableBenchmarkTypes } from '../../benchmarks/schema.ts';
import type { ClusterConfig } from '../schema/cluster.ts';
import type { Recipe } from '../schema/schema.ts';

/** Something that is asked for and not done, though the run is valid without it. */
export interface NotDone {
  /** `benchmark.dataset_path` */
  readonly path: string;
  readonly text: string;
}

/** How the recipe is run. */
export interface Way {
  /** Engines are simulated: nothing is installed and no image is used. */
  readonly mock: boolean;
  readonly containers: boolean;
}

type Rule = readonly [path: string, isAsked: (recipe: Recipe, way: Way) => boolean, text: string];

const YET = 'not done by srtctl yet: ';
const VAIN = 'has no effect: ';

const rules: readonly Rule[] = [
  [
    'observability',
    ({ observability: all }) =>
      [all?.enabled, all?.scrape_metrics, all?.host_sampler_all_nodes, all?.tachometer?.enabled].includes(
        true,
      ),
    `${YET}metrics are not recorded`,
  ],
  [
    'observability.enable_otel',
    ({ observability, frontend }) =>
      observability?.enable_otel === true && (frontend.type !== 'dynamo' || !observability.otel_endpoint),
    `${VAIN}traces need otel_endpoint, and come from Dynamo alone (frontend.type: dynamo)`,
  ],
  ['telemetry', ({ telemetry }) => telemetry?.enabled === true, `${YET}the GPUs' power is not recorded`],
  ['reporting.status', ({ reporting }) => reporting?.status != null, `${YET}no status is sent anywhere`],
  [
    'reporting.ai_analysis',
    ({ reporting }) => reporting?.ai_analysis?.enabled === true,
    `${YET}failures are not analysed`,
  ],
  ['reporting.s3', ({ reporting }) => reporting?.s3 != null, `${YET}logs stay in the output directory`],
  [
    'host_setup',
    ({ host_setup: host }) => (host?.commands.length ?? 0) + (host?.teardown.length ?? 0) > 0,
    `${YET}its commands are not run`,
  ],
  ['output.log_dir', ({ output }) => output?.log_dir != null, `${VAIN}logs are in the job's own directory`],
  [
    'profiling.type',
    ({ profiling }) => profiling.type === 'torch',
    `${YET}the profiler of the engine is not started, so it records nothing`,
  ],
  [
    'profiling.type',
    ({ profiling, backend }) =>
      profiling.type === 'nsys' && (backend.type === 'sglang' || backend.type === 'mocker'),
    `${YET}the engine is not told at which step to start, so Nsight Systems records nothing (nsys-time does)`,
  ],
  [
    'profiling.type',
    ({ profiling, backend }) =>
      profiling.type === 'nsys' &&
      (backend.type === 'vllm' || backend.type === 'trtllm') &&
      [profiling.prefill, profiling.decode, profiling.aggregated].every(
        (steps) => steps?.start_step == null || steps.stop_step == null,
      ),
    `${VAIN}Nsight Systems records between start_step and stop_step of a mode, and no mode has both`,
  ],
  [
    'backend.sequential_node_start',
    ({ backend }) => backend.type === 'trtllm' && backend.sequential_node_start > 0,
    `${YET}all workers of a node load at once`,
  ],
  [
    'backend.numa_cpu_bind',
    ({ backend }) => backend.type === 'trtllm' && backend.numa_cpu_bind,
    `${YET}workers are not bound to CPUs`,
  ],
  [
    'dynamo.install',
    ({ dynamo, frontend }, { mock, containers }) =>
      !mock &&
      !containers &&
      frontend.type === 'dynamo' &&
      dynamo.install &&
      Boolean(dynamo.version ?? dynamo.hash ?? dynamo.wheel ?? dynamo.top_of_tree),
    `${YET}without a container srtctl installs nothing: the node's own Python must have Dynamo`,
  ],
  [
    'model.container',
    ({ model }, { containers }) =>
      containers && /(?:^|[^a-z])(?:alpine|musl)(?:[^a-z]|$)/i.test(model.container),
    `${YET}an agent needs an image with glibc, and this one's name says that it has musl: name a Node for it under runtime in srtslurm.yaml`,
  ],
  [
    'model.stage_dir',
    ({ model }) => model.stage_dir != null && model.path.startsWith('hf:'),
    `${YET}a model of the hub is kept in HF_HOME, and is not copied to the disks of the nodes`,
  ],
];

/** What a recipe asks for and srtctl does not do. */
export function notDoneOf(recipe: Recipe, way: Way): NotDone[] {
  const found = rules.flatMap(([path, isAsked, text]) => (isAsked(recipe, way) ? [{ path, text }] : []));
  return [...found, ...ofBenchmark(recipe)];
}

/** The same of srtslurm.yaml. */
export function notDoneOfCluster(cluster: ClusterConfig): NotDone[] {
  const asked: [string, boolean, string][] = [
    ['preflight', !cluster.preflight, `${VAIN}model and image are looked for before every job`],
    ['git_http_version', cluster.git_http_version != null, `${YET}git clones with its own choice of HTTP`],
    ['telemetry', cluster.telemetry != null, `${YET}the GPUs' power is not recorded`],
  ];
  return asked.flatMap(([path, isAsked, text]) => (isAsked ? [{ path, text }] : []));
}

type BenchmarkKey = keyof Recipe['benchmark'];

/** Of every type: where its process runs, and with which environment. */
const OF_ALL: readonly BenchmarkKey[] = [
  'type',
  'env',
  'client_placement',
  'client_dedicated_node',
  'colocate_with_frontend',
];
/** What each type that can run makes of the rest. */
const USED_BY: Partial<Record<BenchmarkType, readonly BenchmarkKey[]>> = {
  'sa-bench': [
    ...(['isl', 'osl', 'concurrencies', 'req_rate', 'random_range_ratio', 'seed'] as const),
    ...(['num_prompts_mult', 'num_warmup_mult', 'use_chat_template', 'stop_when_invalid'] as const),
  ],
  custom: ['command', 'container_image'],
  manual: [],
};
/** What becomes of keys that srtctl's own load generator does not have. */
const OF_SA_BENCH: Partial<Record<BenchmarkKey, string>> = {
  custom_tokenizer: `${VAIN}prompts are token ids or plain words, and no tokenizer is used`,
  dataset_name: `${YET}prompts are random`,
  dataset_path: `${YET}prompts are random, and the file is not read`,
  slow_down_sleep_time: `${YET}decode workers are not slowed down`,
  slow_down_wait_time: `${YET}decode workers are not slowed down`,
  reuse_http_connections: `${VAIN}connections are kept open from request to request`,
};

function ofBenchmark({ benchmark }: Recipe): NotDone[] {
  const { type } = benchmark;
  const used = USED_BY[type];
  if (!runnableBenchmarkTypes.includes(type) || !used) return [];
  const preset: Partial<Record<string, unknown>> = benchmarkSchema.parse({ type });
  return (Object.keys(benchmark) as BenchmarkKey[]).flatMap((key) => {
    if (OF_ALL.includes(key) || used.includes(key)) return [];
    const value = benchmark[key];
    if (value == null || isDeepStrictEqual(value, preset[key])) return [];
    if (key === 'dataset_name' && value === 'random') return [];
    if (key === 'reuse_http_connections' && value === true) return [];
    const own = type === 'sa-bench' ? OF_SA_BENCH[key] : undefined;
    return [{ path: `benchmark.${key}`, text: own ?? `${VAIN}a benchmark of type ${type} does not use it` }];
  });
}
