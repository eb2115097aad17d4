import { isDeepStrictEqual } from 'node:util';
import { backendFor } from '../../backends/index.ts';
import type { BenchmarkKey } from '../../benchmarks/common/protocol.ts';
import { benchmarkFor, benchmarkSchema } from '../../benchmarks/index.ts';
import { frontendFor } from '../../frontends/index.ts';
import { VAIN, type Way, YET } from '../../model/checks.ts';
import type { ClusterConfig } from '../schema/cluster.ts';
import type { Recipe } from '../schema/schema.ts';

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
const beforeKinds: readonly Rule[] = [
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
      observability?.enable_otel === true &&
      (!frontendFor(frontend.type)?.traces || !observability.otel_endpoint),
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
];

const afterKinds: readonly Rule[] = [
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

/** All recipe options that srtctl does not support. */
export function notDoneOf(recipe: Recipe, way: Way): NotDone[] {
  const found = (rules: readonly Rule[]): NotDone[] =>
    rules.flatMap(([path, isAsked, text]) => (isAsked(recipe, way) ? [{ path, text }] : []));
  const kinds = [
    backendFor(recipe.backend.type),
    frontendFor(recipe.frontend.type),
    benchmarkFor(recipe.benchmark.type),
  ];
  const ofKinds = kinds.flatMap((kind) => kind?.notDone?.(recipe, way) ?? []);
  return [
    ...found(beforeKinds),
    ...ofKinds.map(({ path, text }) => ({ path: path.join('.'), text })),
    ...found(afterKinds),
    ...ofBenchmark(recipe),
  ];
}

/** The same for srtslurm.yaml. */
export function notDoneOfCluster(cluster: ClusterConfig): NotDone[] {
  const asked: [string, boolean, string][] = [
    ['preflight', !cluster.preflight, `${VAIN}model and image are looked for before every job`],
    ['git_http_version', cluster.git_http_version != null, `${YET}git clones with its own choice of HTTP`],
    ['telemetry', cluster.telemetry != null, `${YET}the GPUs' power is not recorded`],
  ];
  return asked.flatMap(([path, isAsked, text]) => (isAsked ? [{ path, text }] : []));
}

/** Keys of every type: placement of the process, and its environment. */
const OF_ALL: readonly BenchmarkKey[] = [
  'type',
  'env',
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
    if (key === 'reuse_http_connections' && value === true) return [];
    const own = kind.unused?.[key];
    return [{ path: `benchmark.${key}`, text: own ?? `${VAIN}a benchmark of type ${type} does not use it` }];
  });
}
