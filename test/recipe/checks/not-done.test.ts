import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { notDoneOf, notDoneOfCluster } from '../../../src/recipe/checks/not-done.ts';
import { warningsOf } from '../../../src/recipe/checks/warnings.ts';
import { clusterJsonSchema, type JsonSchema, recipeJsonSchema } from '../../../src/recipe/json-schema.ts';
import { recipeSchema } from '../../../src/recipe/layouts/recipe-schema.ts';
import { cluster, loadText, small } from '../write.ts';

const root = resolve(import.meta.dirname, '../../..');

/** Keys without keys below them. */
function leavesOf(schema: JsonSchema): string[] {
  const found = new Set<string>();
  const visit = (part: unknown, path: string): void => {
    if (typeof part !== 'object' || part === null) return;
    const { properties, anyOf, oneOf, allOf, items } = part as Record<string, unknown>;
    for (const [key, below] of Object.entries((properties ?? {}) as Record<string, unknown>)) {
      const at = path === '' ? key : `${path}.${key}`;
      found.add(at);
      visit(below, at);
    }
    for (const each of [anyOf, oneOf, allOf]) for (const one of (each ?? []) as unknown[]) visit(one, path);
    visit(items, path);
  };
  visit(schema, '');
  const all = [...found];
  return all.filter((path) => !all.some((other) => other.startsWith(`${path}.`)));
}

/**
 * The place where each key is used: the file, and its keys. The file contains the last part of the key's name, or the
 * text after `|` when it builds the name from parts. A key that is not here must be in one of the tables below.
 */
const USED: Readonly<Record<string, readonly string[]>> = {
  'platform/mounts.ts': [
    'name',
    'extra_mount',
    'container_mounts',
    'cluster:srtctl_root',
    'cluster:default_mounts',
    'cluster:hf_home',
  ],
  'plan/host-setup.ts': ['host_setup'],
  'backends/trtllm/mooncake-store.ts': ['prefill', 'decode', 'agg'].map(
    (mode) => `roles.${mode}.mooncake_store_config`,
  ),
  'recipe/schema/telemetry-settings.ts': [
    ...['enabled', 'interval_ms', 'collect_interval_ms', 'default_frequency'].map(
      (key) => `telemetry.${key}`,
    ),
    ...['enabled', 'scrape_metrics', 'tachometer.enabled', 'tachometer.collect_interval_ms'].map(
      (key) => `observability.${key}`,
    ),
    'observability.tachometer.default_frequency',
    'cluster:telemetry',
  ],
  'plan/steps.ts': ['model.path', 'model.stage_dir', 'cluster:default_bash_preamble'],
  'recipe/schema/experiment.ts': [
    'experiment.accept_restarts',
    ...['role', 'index', 'rank', 'at', 'signal'].map((key) => `experiment.kill.${key}`),
  ],
  'plan/runtime-context.ts': ['cluster:git_http_version', 'model.container', 'cluster:visible_devices_env'],
  'frontends/dynamo/steps.ts': [
    'dynamo.install',
    'dynamo.version',
    'dynamo.hash',
    'dynamo.top_of_tree',
    'dynamo.wheel',
    'dynamo.cargo_patches',
    'dynamo.git',
  ],
  'recipe/resolve.ts': [
    'resources.gpu_type',
    'cluster:default_supervision',
    'cluster:default_gpu_type',
    'cluster:model_paths',
    'cluster:containers',
    'cluster:use_het_jobs',
    'cluster:nginx_raise_ulimit',
    'cluster:default_health_check',
    'cluster:default_host_setup',
  ],
  'backends/common/allocation.ts': [
    'resources.gpus_per_node',
    'resources.prefill_nodes',
    'resources.prefill_workers',
    'resources.decode_nodes',
    'resources.decode_workers',
    'resources.agg_nodes',
    'resources.agg_workers',
    'resources.spread_workers',
    'resources.het_jobs',
    'resources.prefill_nodes_per_worker|${mode}_nodes_per_worker',
    'resources.decode_nodes_per_worker|${mode}_nodes_per_worker',
    'resources.agg_nodes_per_worker|${mode}_nodes_per_worker',
  ],
  'recipe/values/gpus-of-worker.ts': ['prefill', 'decode', 'agg'].map(
    (mode) => `resources.gpus_per_${mode}|gpus_per_\${mode}`,
  ),
  'platform/slurm/sbatch.ts': [
    'resources.spare_nodes',
    'slurm.account',
    'slurm.partition',
    'slurm.time_limit',
    'sbatch_directives',
    'cluster:default_account',
    'cluster:default_partition',
    'cluster:default_time_limit',
    'cluster:default_sbatch_directives',
    'cluster:gpus_per_node',
    'cluster:use_gpus_per_node_directive',
    'cluster:use_segment_sbatch_directive',
    'cluster:use_exclusive_sbatch_directive',
  ],
  'frontends/trtllm-serve.ts': [
    'frontend.args',
    'frontend.env',
    'frontend.orchestrator_placement',
    'frontend.ctx_router',
    'frontend.gen_router',
    'frontend.server_config_extra',
  ],
  'frontends/common/placement.ts': [
    'frontend.enable_multiple_frontends',
    'frontend.num_additional_frontends',
  ],
  'frontends/common/nginx.ts': [
    'frontend.nginx_container',
    'frontend.nginx_raise_ulimit',
    'frontend.nginx_session_affinity',
    'frontend.nginx_session_affinity_header',
    'frontend.nginx_keepalive_timeout',
  ],
  'backends/trtllm/plan.ts': [
    'backend.publish_metrics',
    'backend.trtllm_config',
    'backend.served_model_name',
    'backend.publish_events_and_metrics',
    'backend.numa_memory_bind',
    'backend.prefill_environment|_environment',
    'backend.prefill_extra_args|_extra_args',
    'backend.decode_environment|_environment',
    'backend.decode_extra_args|_extra_args',
    'backend.aggregated_environment|_environment',
    'backend.aggregated_extra_args|_extra_args',
  ],
  'backends/common/kv-events.ts': ['backend.kv_events_config'],
  'backends/common/mooncake.ts': [
    'backend.mooncake_kv_store.container',
    'backend.mooncake_kv_store.master_extra_args',
    'backend.mooncake_kv_store.env',
  ],
  'plan/infra.ts': ['infra.nats_max_payload_mb'],
  'services/common/process.ts': [
    'services.metrics',
    'services.name',
    'services.command',
    'services.args',
    'services.env',
    'services.container',
    'services.critical',
    'services.terminal',
    'services.preamble',
    'services.inherit_discovery_env',
    'services.start',
    'services.readiness',
  ],
  'services/common/placement.ts': ['services.placement', 'services.nodes'],
  'services/common/source.ts': [
    'services.source',
    'services.build_command',
    'services.build_timeout_seconds',
  ],
  'services/index.ts': ['services.type'],
  'services/effective.ts': ['services.enabled', 'services.external'],
  'recipe/schema/service-checks.ts': ['services.options'],
  'services/common/own-step.ts': ['services.cpus_per_task', 'services.cpu_bind', 'services.srun_options'],
  'frontends/dynamo/plan.ts': ['frontend.worker_selection'],
  'plan/options/check-step.ts': ['supervision.check_options'],
  'backends/vllm/failover.ts': ['backend.failover'],
  'backends/vllm/context.ts': ['backend.vllm_config', 'backend.dp_launch_mode'],
  'backends/vllm/command.ts': [
    'backend.connector',
    'backend.set_cuda_visible_devices',
    'backend.vllm_serve_binary',
  ],
  'backends/vllm/plan.ts': [
    'backend.allow_prefill_decode_colocation',
    'backend.allow_prefill_decode_colocation_across_nodes',
    'backend.mooncake_kv_store.store_config',
  ],
  'backends/mocker/plan.ts': [
    'backend.mocker_config',
    'backend.engine_type',
    'backend.speedup_ratio',
    'backend.decode_speedup_ratio',
    'backend.num_gpu_blocks_override',
    'backend.max_num_seqs',
    'backend.max_num_batched_tokens',
    'backend.block_size',
    'backend.data_parallel_size',
    'backend.num_workers',
    'backend.startup_time',
    'backend.kv_transfer_bandwidth',
    'backend.kv_cache_dtype',
    'backend.enable_prefix_caching',
    'backend.enable_chunked_prefill',
    'backend.preemption_mode',
  ],
  'benchmarks/sa-bench.ts': [
    'benchmark.env',
    'benchmark.isl',
    'benchmark.osl',
    'benchmark.concurrencies',
    'benchmark.req_rate',
    'benchmark.random_range_ratio',
    'benchmark.num_prompts_mult',
    'benchmark.num_warmup_mult',
    'benchmark.seed',
    'benchmark.stop_when_invalid',
    'benchmark.reuse_http_connections',
    'benchmark.client_threads',
    'benchmark.api_key_env',
    'benchmark.headers',
    'benchmark.extra_body',
    'benchmark.use_chat_template',
    'benchmark.ttft_threshold_ms',
    'benchmark.itl_threshold_ms',
    'benchmark.e2e_threshold_ms',
    'benchmark.request_records_mib',
    'benchmark.validity',
    ...['benchmark.dataset_name', 'benchmark.dataset_path', 'benchmark.tokenizer'],
    'benchmark.shared_prefix_ratio',
    'benchmark.client',
    ...['benchmark.arrivals', 'benchmark.burstiness', 'benchmark.ramp_up', 'benchmark.duration'],
  ],
  'benchmarks/accuracy/settings.ts': [
    ...['num_examples', 'num_shots', 'num_threads', 'max_tokens', 'repeat', 'accuracy.tool'].map(
      (key) => `benchmark.${key}`,
    ),
    ...['accuracy.api', 'accuracy.tasks'].map((key) => `benchmark.${key}`),
  ],
  'benchmarks/accuracy/protocol.ts': [
    ...['temperature', 'top_p', 'top_k', 'max_context_length', 'categories'].map((key) => `benchmark.${key}`),
    ...['accuracy.min', 'accuracy.include_path', 'accuracy.metric'].map((key) => `benchmark.${key}`),
  ],
  'benchmarks/sa-bench-clients.ts': ['benchmark.clients'],
  'benchmarks/custom.ts': ['benchmark.command', 'benchmark.container_image'],
  'frontends/common/process.ts': ['frontend.container_image', 'frontend.numa_bind'],
  'backends/atom.ts': ['backend.atom_config', 'backend.mooncake_protocol'],
  'backends/tilert.ts': [
    ...['backend.tilert_config', 'backend.model_profile', 'backend.prefill_container', 'backend.weights_dir'],
    ...['backend.weight_model_type', 'backend.max_seq_len', 'backend.kv_cache_dtype'],
    ...['backend.prefill_kv_cache_dtype', 'backend.transport', 'backend.with_mtp'],
    'backend.speculative_tokens',
  ],
  'backends/tokenspeed.ts': ['backend.tokenspeed_config'],
  'plan/roles.ts': [
    'benchmark.client_placement',
    'benchmark.client_dedicated_node',
    'benchmark.colocate_with_frontend',
    'infra.etcd_nats_dedicated_node',
    'frontend.dedicated_node',
  ],
  'backends/common/dynamo-environment.ts': [
    'dynamo.request_plane',
    'dynamo.event_plane',
    'observability.otel_endpoint',
  ],
  'plan/workers.ts': [
    ...[
      'environment',
      'health_check.interval_seconds',
      'health_check.max_attempts',
      'health_check.fatal_log_markers|fatal_log_markers',
      'health_check.extra_fatal_log_patterns',
    ],
    ...['prefill', 'decode', 'agg'].flatMap((mode) =>
      ['policy', 'max_restarts', 'backoff_seconds', 'max_backoff_seconds'].map(
        (key) => `roles.${mode}.restart.${key}`,
      ),
    ),
  ],
  'backends/common/profiling.ts': [
    'profiling.extra_nsys_args',
    'profiling.nsys_trace',
    'profiling.trace_fork_before_exec',
    'profiling.capture_range_end',
    'profiling.nsys_library_paths',
    ...['prefill', 'decode', 'aggregated'].flatMap((mode) =>
      ['capture_scope', 'worker_index', 'worker_rank'].map((key) => `profiling.${mode}.${key}`),
    ),
    'profiling.prefill.start_step',
    'profiling.prefill.stop_step',
    'profiling.decode.start_step',
    'profiling.decode.stop_step',
    'profiling.aggregated.start_step',
    'profiling.aggregated.stop_step',
    'profiling.delay_secs',
    'profiling.duration_secs',
    'profiling.benchmark_duration_secs',
  ],
  'coordinator/agents/roster.ts': [
    'supervision.heartbeat',
    'supervision.suspect_after',
    'supervision.lost_after',
    'supervision.reconnect',
    'supervision.lease',
  ],
  'plan/supervised.ts': [
    'supervision.grace',
    'supervision.unhealthy_after',
    'supervision.hung_after',
    'supervision.critical.prefill',
    'supervision.critical.decode',
    'supervision.critical.agg',
    'supervision.critical.frontend',
  ],
  'recipe/schema/benchmark.ts': ['benchmark.placement'],
  'recipe/schema/frontend.ts': ['frontend.placement'],
  'frontends/index.ts': ['frontend.type'],
  'backends/index.ts': ['backend.type'],
  'benchmarks/index.ts': ['benchmark.type'],
  'model/recipe-of.ts': ['roles'],
  'recipe/schema/reporting.ts': [
    ...['endpoint', 'endpoints', 'job_id_prefix', 'token_env'].map((key) => `reporting.status.${key}`),
    ...['url', 'secret_env'].map((key) => `reporting.webhooks.${key}`),
  ],
  'reporting/upload.ts': [
    ...['bucket', 'prefix', 'region', 'endpoint_url', 'access_key_id', 'secret_access_key', 'exclude'].map(
      (key) => `reporting.s3.${key}`,
    ),
  ],
  'reporting/common/job.ts': ['observability.otel_requests'],
  'cli/dry-run/estimate.ts': ['max_gpu_hours', 'cluster:max_gpu_hours'],
  'recipe/checks/runnable.ts': ['cluster:preflight'],
  'recipe/checks/sidecar.ts': ['dynamo.engine_mode'],
  'coordinator/sweep/point-run.ts': ['benchmark.stream_output'],
  'coordinator/main.ts': [
    'supervision.relaunch_agents',
    'bus.tls',
    'bus.exec',
    'cluster:bus.exec',
    'cluster:network_interface',
  ],
  'platform/index.ts': ['supervision.pid_namespace'],
  'coordinator/agents/dirty-nodes.ts': ['supervision.on_dirty_node'],
  'platform/slurm/srun.ts': ['srun_options'],
  'backends/sglang/plan.ts': ['backend.sglang_config', 'enable_config_dump'],
  'cli/submit/outputs-directory.ts': ['cluster:output_dir'],
  'platform/container-runtime.ts': ['cluster:container_runtime'],
  'platform/runtimes.ts': ['cluster:runtime'],
  'cli/submit/write-job-dir.ts': ['setup_script'],
};

/** Kept with the result only: config.yaml of each point, which point-run.ts writes, contains them. */
const KEPT = ['identity', 'model.precision'];

const usable = {
  name: 'r',
  model: { path: 'm', container: 'c', precision: 'fp8' },
  resources: { gpu_type: 'h100', gpus_per_node: 8, agg_nodes: 1, agg_workers: 1 },
};
const saBench = (fields: object) => ({
  benchmark: { type: 'sa-bench', isl: 1, osl: 1, concurrencies: 1, ...fields },
});
const ofBenchmark = (key: string, value: unknown) => [`benchmark.${key}`, saBench({ [key]: value })] as const;

/** A value for a setting of a recorder. */
function ofRecorder(key: string): unknown {
  if (key.endsWith('_exporter')) return { port: 9401 };
  if (/_(?:seconds|secs|threads)$/.test(key)) return 1;
  if (key === 'extra_metadata') return { a: 'b' };
  return /^(?:required|clock_sync_check|default_exporters)$/.test(key) ? true : 'a';
}

/** Reported options, each with a recipe that sets it. A key stands for all keys below it. */
const SAID: readonly (readonly [key: string, recipe: object])[] = [
  ofBenchmark('custom_tokenizer', 'glm_moe.Tokenizer'),
  ofBenchmark('slow_down_sleep_time', 1),
  ofBenchmark('slow_down_wait_time', 1),
  ofBenchmark('mooncake_workload', 'mooncake'),
  ofBenchmark('trace_file', '/t'),
  ofBenchmark('aiperf_package', 'aiperf'),
  ofBenchmark('aiperf_args', { a: 1 }),
  ofBenchmark('aiperf_server_metrics', true),
  ofBenchmark('num_requests', 1),
  ofBenchmark('concurrency', 1),
  ofBenchmark('prefix_ratios', '0.5'),
  ofBenchmark('agentperf_client_dir', '/a'),
  ofBenchmark('agentperf_config', '/a'),
  ofBenchmark('export_node_metrics', true),
  ['observability.host_sampler_all_nodes', { observability: { host_sampler_all_nodes: true } }],
  ...[
    ...['binary_path', 'sync_interval_secs', 'compaction_threads', 'storage_subdir', 'shutdown_grace_secs'],
    ...['default_exporters', 'extra_metadata', 'dcgm_exporter', 'node_exporter', 'process_exporter'],
    'default_gpu_exporter',
  ].map((key): readonly [string, object] => [
    `observability.tachometer.${key}`,
    { observability: { tachometer: { [key]: ofRecorder(key) } } },
  ]),
  ['observability.enable_otel', { observability: { enable_otel: true } }],
  ['observability.nsys', { observability: { nsys: { enabled: true } } }],
  ...[
    ...[
      'binary_path',
      'sync_interval_secs',
      'compaction_threads',
      'storage_subdir',
      'provider',
      'container_image',
    ],
    ...['startup_timeout_seconds', 'request_timeout_seconds', 'collector_join_timeout_seconds'],
    ...['extra_metadata', 'dcgm_exporter', 'node_exporter', 'required', 'clock_sync_check'],
  ].map((key): readonly [string, object] => [`telemetry.${key}`, { telemetry: { [key]: ofRecorder(key) } }]),
  ['telemetry.live_metrics', { telemetry: { live_metrics: { enabled: true } } }],
  ['telemetry.cpu_power', { telemetry: { cpu_power: { enabled: true } } }],
  ['telemetry.cpu_power_exporter', { telemetry: { cpu_power_exporter: {} } }],
  ['benchmark.sweep', saBench({ sweep: { parameters: { a: [1] } } })],
  ['dynamo.sidecar_port', { dynamo: { sidecar_port: 1 } }],
  ['dynamo.sidecar_binary', { dynamo: { sidecar_binary: 'a' } }],
  ['dynamo.sidecar_startup_timeout', { dynamo: { sidecar_startup_timeout: 1 } }],
  ['dynamo.sidecar_context_length', { dynamo: { sidecar_context_length: 1 } }],
  ['dynamo.sidecar_args', { dynamo: { sidecar_args: ['a'] } }],
  ...['prefill', 'decode', 'agg'].map((mode): readonly [string, object] => [
    `roles.${mode}.mooncake_store_config`,
    { roles: { [mode]: { mooncake_store_config: { a: 1 } } } },
  ]),
  ['backend.numa_memory_bind', { backend: { type: 'trtllm', numa_memory_bind: 'local' } }],
  ['frontend.epp_config', { frontend: { epp_config: { a: 1 } } }],
  ['post_eval', { post_eval: {} }],
  ['post_eval.command', { post_eval: { type: 'gsm8k', command: ['a'] } }],
  ['post_eval.passthrough_env', { post_eval: { type: 'gsm8k', passthrough_env: ['A'] } }],
  ['reporting.publishers', { reporting: { publishers: [{ name: 'a', command: ['a'] }] } }],
  ['reporting.status.logging-stream-interval', { reporting: { status: { 'logging-stream-interval': 60 } } }],
  ['reporting.ai_analysis', { reporting: { ai_analysis: { enabled: true } } }],
  ['reporting.s3.archive', { reporting: { s3: { bucket: 'b', archive: ['a'] } } }],
  ['output.log_dir', { output: { log_dir: '/logs' } }],
  ['profiling.type', { profiling: { type: 'torch' } }],
  ['profiling.type', { profiling: { type: 'nsys' } }],
  ['profiling.type', { profiling: { type: 'nsys' }, backend: { type: 'vllm' } }],
  ['backend.sequential_node_start', { backend: { type: 'trtllm', sequential_node_start: 1 } }],
  ['backend.numa_cpu_bind', { backend: { type: 'trtllm', numa_cpu_bind: true } }],
];
const SAID_OF_CLUSTER: readonly (readonly [key: string, config: object])[] = [
  ['default_gpu_exporter', { default_gpu_exporter: { container_image: 'dcgm', port: 9401 } }],
  ['launcher', { launcher: 'docker' }],
  ['docker_args', { docker_args: ['--user', '0'] }],
];
/**
 * Reported for recipes that get the option from srtslurm.yaml, meant for other tools (`cloud`), always true, or a name
 * that the job keeps.
 */
const OTHERWISE = ['cluster', 'reporting', 'cloud', 'record_launch_plan'];

const isBelow = (key: string, above: string): boolean => key === above || key.startsWith(`${above}.`);
const used = Object.entries(USED).flatMap(([file, keys]) =>
  keys.map((key) => {
    const [path = '', text = path.split(/[.:]/).at(-1) ?? ''] = key.split('|');
    return { file, path, text };
  }),
);
/** Every backend has its keys in its own file; `cluster:` marks keys of srtslurm.yaml. */
const unaccounted = (schema: JsonSchema, mark: string, others: readonly string[]): string[] =>
  leavesOf(schema).filter(
    (leaf) =>
      !used.some(({ path }) => isBelow(`${mark}${leaf}`, path)) &&
      !others.some((above) => isBelow(leaf, above)),
  );

describe('every key of the schemas', () => {
  it('of a recipe is used or reported', () => {
    const said = [...KEPT, 'output.record_launch_plan', ...SAID.map(([key]) => key)];
    expect(unaccounted(recipeJsonSchema(1), '', said)).toEqual([]);
  });

  it('of srtslurm.yaml is used or reported', () => {
    const said = [...OTHERWISE, ...SAID_OF_CLUSTER.map(([key]) => key)];
    expect(unaccounted(clusterJsonSchema(), 'cluster:', said)).toEqual([]);
  });

  it('that is used is named where the table says', () => {
    const texts = new Map<string, string>();
    const textOf = (file: string): string => {
      const text = texts.get(file) ?? readFileSync(join(root, 'src', file), 'utf8');
      texts.set(file, text);
      return text;
    };
    const escaped = (text: string) => text.replaceAll(/[$.*+?^(){}[\]|\\]/g, '\\$&');
    const missing = used.filter(
      ({ file, text }) => !new RegExp(`(?<!\\w)${escaped(text)}(?!\\w)`).test(textOf(file)),
    );
    expect(missing).toEqual([]);
  });
});

describe('a sweep that measures the same point twice', () => {
  const warnings = (sweep: string): string[] => {
    const text = small.replace('osl: 128', 'osl: "{osl}"');
    const [variant] = loadText(`${text}sweep:\n${sweep}`);
    if (!variant) throw new Error('no variant');
    return warningsOf(variant, { mock: false, containers: true }).map((line) =>
      line.replace(/^.*recipe\.yaml/, ''),
    );
  };

  it('is reported with the unused parameter', () => {
    expect(warnings('  osl: [128, 256]\n  trial: [1, 2, 3]\n')).toEqual([
      ':20: sweep.trial: no setting depends on {trial}, so 4 of 6 points repeat another one',
    ]);
  });

  it('is reported when a value appears twice', () => {
    expect(warnings('  osl: [128, 256, 128]\n')).toEqual([
      ':18: sweep: has a value twice, so 1 of 3 points repeat another one',
    ]);
  });

  it('is not reported when each point differs from all others', () => {
    expect(warnings('  mode: zip\n  osl: [128, 256]\n  trial: [1, 2]\n')).toEqual([]);
  });
});

describe('an option that srtctl does not support is reported', () => {
  it.each(SAID)('%s: %o', (key, part) => {
    const recipe = recipeSchema.parse({ ...usable, ...part });
    const paths = notDoneOf(recipe, { mock: false, containers: true }).map(({ path }) => path);
    expect(paths).toEqual([key]);
  });

  it.each(SAID_OF_CLUSTER)('in srtslurm.yaml: %s', (key, part) => {
    expect(notDoneOfCluster(cluster(part)).map(({ path }) => path)).toEqual([key]);
  });

  it('and nothing is reported for a recipe without such an option', () => {
    const fields = { dataset_name: 'random', reuse_http_connections: true, seed: 1, num_prompts_mult: 2 };
    const recipe = recipeSchema.parse({ ...usable, ...saBench(fields) });
    expect(notDoneOf(recipe, { mock: false, containers: true })).toEqual([]);
    expect(notDoneOfCluster(cluster())).toEqual([]);
  });

  it('and a chat template that the client cannot apply, or a router does not leave out', () => {
    const said = (
      benchmark: object,
      { mock = false, frontend = {} }: { mock?: boolean; frontend?: object } = {},
    ) => {
      const recipe = recipeSchema.parse({ ...usable, ...saBench(benchmark), ...frontend });
      return notDoneOf(recipe, { mock, containers: true }).filter(({ path }) =>
        path.includes('chat_template'),
      );
    };
    const asked = { use_chat_template: true };
    expect(said(asked)).toEqual([]);
    expect(said(asked, { mock: true })).toMatchObject([
      { text: expect.stringContaining('prompts are words') },
    ]);
    expect(said({ use_chat_template: false })).toEqual([]);
    const router = { frontend: { type: 'sgl-router' } };
    expect(said({ use_chat_template: false }, { frontend: router })).toMatchObject([
      { text: expect.stringContaining('where the engine applies its chat template') },
    ]);
  });

  it('and keys of random prompts where prompts come from a file, or of a number where requests are sent for a time', () => {
    const paths = (benchmark: object) =>
      notDoneOf(recipeSchema.parse({ ...usable, ...saBench(benchmark) }), {
        mock: false,
        containers: true,
      }).map(({ path }) => path);
    const file = { dataset_path: '/data/p', random_range_ratio: 1, use_chat_template: true };
    expect(paths({ ...file, dataset_name: 'custom' })).toEqual([
      ...['benchmark.isl', 'benchmark.random_range_ratio', 'benchmark.use_chat_template', 'benchmark.osl'],
    ]);
    expect(paths({ dataset_name: 'sharegpt', dataset_path: '/data/s' })).toEqual(['benchmark.isl']);
    expect(paths({ duration: 5, num_prompts_mult: 3 })).toEqual(['benchmark.num_prompts_mult']);
  });

  it('and settings of a service’s srun, where no srun starts it, or srtctl decides', () => {
    const services = [
      {
        name: 'a',
        command: ['x'],
        cpus_per_task: 1,
        cpu_bind: 'none',
        srun_options: { nodelist: 'n', mem: '1' },
      },
    ];
    const recipe = recipeSchema.parse({ ...usable, services });
    const said = (way: { containers: boolean; runtime?: string }) =>
      notDoneOf(recipe, { mock: false, ...way }).map(({ path }) => path.replace('services[0].', ''));
    expect(said({ containers: true })).toEqual(['srun_options.nodelist']);
    for (const way of [{ containers: true, runtime: 'docker' }, { containers: false }])
      expect(said(way)).toEqual(['cpus_per_task', 'cpu_bind', 'srun_options']);
  });

  it('and host_setup, where it is left out', () => {
    const recipe = recipeSchema.parse({ ...usable, host_setup: { teardown: ['true'] } });
    const said = (way: { mock: boolean; hostSetup?: boolean }) =>
      notDoneOf(recipe, { containers: true, ...way }).map(({ path }) => path);
    expect(said({ mock: false })).toEqual([]);
    expect(said({ mock: true, hostSetup: true })).toEqual([]);
    expect(said({ mock: true })).toEqual(['host_setup']);
    expect(said({ mock: false, hostSetup: false })).toEqual(['host_setup']);
  });

  it('and simulated engines need no installation', () => {
    const dynamo = { frontend: { type: 'dynamo' }, dynamo: { version: '1.0.0' } };
    const recipe = recipeSchema.parse({ ...usable, ...dynamo });
    expect(notDoneOf(recipe, { mock: true, containers: false })).toEqual([]);
    expect(notDoneOf(recipe, { mock: false, containers: false })).toMatchObject([{ path: 'dynamo.install' }]);
  });

  it('with its line', () => {
    const [variant] = loadText(`${small}output: {log_dir: /logs}\n`);
    const lines = variant
      ? warningsOf(variant, { mock: false, containers: true }, cluster({ docker_args: ['-v'] }))
      : [];
    expect(lines.map((line) => line.replace(/^.*recipe\.yaml/, ''))).toEqual([
      ":18: output.log_dir: has no effect: logs are in the job's own directory",
      "srtslurm.yaml: docker_args: not done by srtctl yet: docker run gets srtctl's own options alone",
    ]);
  });
});
