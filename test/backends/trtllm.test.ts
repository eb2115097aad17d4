import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { PlanError } from '../../src/os/errors.ts';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { requireRunnable } from '../../src/recipe/checks/runnable.ts';
import { cluster, loadText } from '../recipe/write.ts';
import { processOf } from '../support/plan.ts';

const recipe = `name: t
model: {path: hf:org/Model-1, container: repo/i, precision: fp8}
resources:
  gpu_type: gb200
  gpus_per_node: 4
  prefill_nodes: 1
  prefill_workers: 2
  decode_nodes: 2
  decode_workers: 1
frontend: {type: dynamo, enable_multiple_frontends: false}
backend:
  type: trtllm
  decode_environment: {WHO: "{node}"}
  trtllm_config:
    prefill: {tensor_parallel_size: 2, max_seq_len: 1024}
    decode:
      tensor_parallel_size: 8
      kv_cache_config: {free_gpu_memory_fraction: 1.0, dtype: "on"}
      cuda_graph_config: {batch_sizes: [1, 2]}
      backend: NULL_BACKEND
benchmark: {type: manual}
`;

function variantOf(text: string) {
  const [variant] = loadText(text);
  if (!variant) throw new Error('no variant');
  return variant;
}

function processesOf(text: string) {
  const variant = variantOf(text);
  const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
  const [point] = planVariant(variant, createRuntimeContext(dryRunInput(nodes, cluster()))).points;
  if (!point) throw new Error('no point');
  return point.processes;
}

const byId = (text: string, id: string) => processesOf(text).find((process) => process.id === id);

const served = recipe.replace('type: dynamo', 'type: trtllm_serve');
const aggregated = served
  .replace(/ {2}prefill_nodes[\s\S]*decode_workers: 1\n/, '  agg_nodes: 1\n  agg_workers: 1\n')
  .replace('    decode:', '    aggregated:');

describe('a TensorRT-LLM endpoint', () => {
  it('is one MPI launch with a task for each GPU, on the node of its leader', () => {
    const workers = processesOf(recipe).filter(({ phase }) => phase === 'worker');
    expect(workers.map(({ id, node, mpi }) => [id, node, mpi])).toEqual([
      ['prefill-0-0', 'node1', { tasks: 2, nodes: ['node1'] }],
      ['prefill-1-0', 'node1', { tasks: 2, nodes: ['node1'] }],
      ['decode-0-0', 'node2', { tasks: 8, nodes: ['node2', 'node3'] }],
    ]);
  });

  it('has the options of its mode in a file, with their types', () => {
    const worker = byId(recipe, 'decode-0-0');
    const [file] = worker?.files ?? [];
    expect(file?.path).toBe('/outputs/12345/logs/trtllm_config_decode.yaml');
    expect(worker?.argv).toContain('/logs/trtllm_config_decode.yaml');
    expect(parse(file?.content ?? '', { version: '1.1' })).toEqual({
      tensor_parallel_size: 8,
      kv_cache_config: { free_gpu_memory_fraction: 1, dtype: 'on' },
      cuda_graph_config: { batch_sizes: [1, 2] },
      backend: 'NULL_BACKEND',
    });
    expect(file?.content).not.toContain('%YAML');
  });

  it.each([
    ['Rank0 Task exit code: 1', true],
    ['Rank12 Task exit code: 137', true],
    ['[07/08/2025-19:47:15] [TRT-LLM] [RANK 1] [E] Failed to initialize executor on rank 1: no memory', true],
    [
      '[07/22/2025-05:45:38] [TRT-LLM] [E] Failed to initialize executor on rank 0: CUDA out of memory.',
      true,
    ],
    [
      '[09/03/2026-05:45:38] [TRT-LLM] [E] [_torch][RANK 7] Executor loop crashed on this rank; hard-killing all 8',
      true,
    ],
    ['[11/18/2025-09:33:30] [TRT-LLM] [RANK 3] [E] Hang detected on rank 3 in PyExecutor.', true],
    ['Rank0 Task exit code: 0', false],
    ['Rank0 MPI Comm server exit code: 1', false],
    ['[11/18/2025-09:33:30] [TRT-LLM] [RANK 0] [I] prompt: "why does Rank0 Task exit code: 1 come?"', false],
    [
      '[11/18/2025-09:33:30] [TRT-LLM] [RANK 0] [I] {"prompt": "Failed to initialize executor on rank 1"}',
      false,
    ],
    ['INFO: 10.0.0.1:4242 - "POST /v1/completions HTTP/1.1" 503 Service Unavailable', false],
    ['[11/18/2025-09:33:30] [TRT-LLM] [RANK 0] [W] Hang detection is on', false],
  ])('fails only by its log: %s: %s', (line, isFatal) => {
    const { fatalLines = [] } = byId(recipe, 'decode-0-0') ?? {};
    expect(fatalLines.some((pattern) => new RegExp(pattern).test(line))).toBe(isFatal);
  });

  it('whose fatal lines a recipe may turn off, and add some of its own', () => {
    const own = 'health_check: {fatal_log_markers: false, extra_fatal_log_patterns: [Xid]}\n';
    expect(byId(`${recipe}${own}`, 'decode-0-0')).toMatchObject({ fatalPatterns: ['Xid'] });
    expect(byId(`${recipe}${own}`, 'decode-0-0')).not.toHaveProperty('fatalLines');
  });

  it('has its own memory for the expert balancer, and gets the address of its node', () => {
    const workers = processesOf(recipe).filter(({ phase }) => phase === 'worker');
    expect(new Set(workers.map(({ env }) => env.TRTLLM_EPLB_SHM_NAME)).size).toBe(3);
    expect(byId(recipe, 'decode-0-0')?.env.WHO).toBe('node2');
    expect(workers.map(({ env }) => env.CUDA_VISIBLE_DEVICES)).toEqual(['0,1', '2,3', undefined]);
  });

  it('stays on the CPUs’ memory on Grace machines, unless the recipe says otherwise', () => {
    expect(byId(recipe, 'decode-0-0')?.argv.slice(0, 4)).toEqual([
      'numactl',
      '-m',
      '0,1',
      'trtllm-llmapi-launch',
    ]);
    const without = recipe.replace('  type: trtllm\n', '  type: trtllm\n  numa_memory_bind: false\n');
    for (const text of [recipe.replace('gb200', 'b200'), without]) {
      expect(byId(text, 'decode-0-0')?.argv[0]).toBe('trtllm-llmapi-launch');
    }
  });

  it('has the name of its model, and publishes events when the recipe says so', () => {
    const text = recipe.replace('  type: trtllm\n', '  type: trtllm\n  publish_events_and_metrics: true\n');
    expect(byId(text, 'prefill-0-0')?.argv).toEqual(
      expect.arrayContaining(['--served-model-name', 'Model-1', '--publish-events-and-metrics']),
    );
  });

  it('is a server behind trtllm-serve, which gets the addresses of all leaders', () => {
    expect(byId(served, 'prefill-1-0')).toMatchObject({
      argv: expect.arrayContaining(['--port', '6132', '--tensor_parallel_size', '2']),
      probe: { port: 6132, path: '/health' },
    });
    const router = byId(served, 'frontend-0');
    expect(router?.argv).toEqual([
      ...['trtllm-serve', 'disaggregated', '-c', '/logs/ser.yaml'],
      // Its own limits of 180 s are shorter than a start and a long request.
      ...['--server_start_timeout', '1800', '--request_timeout', '3600'],
    ]);
    expect(parse(router?.files?.[0]?.content ?? '')).toEqual({
      context_servers: { num_instances: 2, urls: ['10.0.0.1:6100', '10.0.0.1:6132'] },
      generation_servers: { num_instances: 1, urls: ['10.0.0.2:6100'] },
      hostname: '0.0.0.0',
      port: 8000,
    });
    expect(processesOf(served).some(({ role }) => role === 'etcd')).toBe(false);
  });

  it('serves the public port itself when it is the only aggregated one', () => {
    const processes = processesOf(aggregated).filter(({ role }) => role !== 'step');
    expect(processes).toHaveLength(1);
    expect(processes[0]).toMatchObject({ ports: { http: 8000 }, probe: { port: 8000 } });
    expect(() => processesOf(aggregated.replace('agg_workers: 1', 'agg_workers: 2'))).toThrow(
      /several aggregated workers/,
    );
  });

  it('is refused behind a router that does not support it, with the line', () => {
    const text = recipe.replace('type: dynamo', 'type: sglang');
    expect(() => processesOf(text)).toThrow(PlanError);
    expect(() => processesOf(text)).toThrow(/no TensorRT-LLM workers/);
    const sglang = served.replace(/backend:\n[\s\S]*NULL_BACKEND\n/, '');
    expect(() => processesOf(sglang)).toThrow(/no SGLang workers/);
  });

  it('runs when MPI can start its ranks, and otherwise is refused with a hint', () => {
    const problemOf = (over: Partial<Parameters<typeof requireRunnable>[1]>) => () =>
      requireRunnable(variantOf(recipe), { mock: false, containers: true, ...over }, () => true);
    expect(problemOf({ runtime: 'pyxis' })).not.toThrow();
    expect(problemOf({ runtime: 'docker' })).toThrow(/cannot start ranks inside containers of docker/);
    expect(problemOf({ slurm: false })).toThrow(/through Slurm, which --local does not have/);
    expect(problemOf({ slurm: false, mock: true })).not.toThrow();
  });

  it('has keys that other engines refuse', () => {
    expect(() => variantOf(recipe.replace('trtllm_config', 'trtlm_config'))).toThrow(/unknown key/);
    expect(() => variantOf(recipe.replace('type: trtllm', 'type: sglang'))).toThrow(/unknown key/);
  });
});

describe('the store of Mooncake as a connector', () => {
  const withStore = (
    decode: string,
    master = '{name: mooncake-master, type: mooncake-master, options: {store_config: {protocol: rdma, global_segment_size: 8GiB}}}',
  ) => `schema: 2
name: store
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8}
frontend: {type: trtllm_serve, enable_multiple_frontends: false}
engine: {type: trtllm, served_model_name: org/served}
roles:
  prefill: {nodes: 1, workers: 1, gpus: 8, args: {kv_connector_config: {connector: mooncake-store}}}
  decode: {nodes: 1, workers: 1, gpus: 8, ${decode}}
benchmark: {type: custom, command: 'true'}
services:
  - ${master}
`;
  const own =
    'args: {kv_connector_config: {connector: mooncake-store}}, mooncake_store_config: {global_segment_size: 16GiB, role: both}';
  const fileOf = (text: string, mode: string) => {
    const { files = [] } = processOf(text, `${mode}-0-0`);
    const file = files.find(({ path }) => path.endsWith(`mooncake_store_config_${mode}.json`));
    return file && JSON.parse(file.content);
  };

  it('gives each mode the settings of the master, and over them its own', () => {
    const text = withStore(own);
    const shared = { model_key: 'org/served', protocol: 'rdma', master_server_address: '10.0.0.1:8700' };
    expect(fileOf(text, 'prefill')).toEqual({ ...shared, role: 'both', global_segment_size: '8GiB' });
    expect(fileOf(text, 'decode')).toEqual({ ...shared, role: 'both', global_segment_size: '16GiB' });
    expect(
      fileOf(withStore('args: {kv_connector_config: {connector: mooncake-store}}'), 'decode'),
    ).toMatchObject({
      role: 'capacity',
    });
    expect(processOf(text, 'decode-0-0').env).toMatchObject({
      MOONCAKE_CONFIG_PATH: '/logs/mooncake_store_config_decode.json',
      MOONCAKE_MASTER: '10.0.0.1:8700',
    });
    expect(processOf(text, 'mooncake-master').argv[0]).toBe('mooncake_master');
  });

  it('is that of the modes that name it', () => {
    const text = withStore(
      'args: {kv_connector_config: {connector: mooncake-store, connector_module: mine}}',
    );
    expect(fileOf(text, 'decode')).toBeUndefined();
    expect(processOf(text, 'decode-0-0').env).not.toHaveProperty('MOONCAKE_CONFIG_PATH');
  });

  it('needs a master of the job', () => {
    const text = withStore(own, '{name: side, command: [x]}');
    expect(fileOf(text, 'prefill')).toBeUndefined();
  });
});
