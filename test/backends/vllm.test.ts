import { describe, expect, it } from 'vitest';
import { vllm } from '../../src/backends/vllm/plan.ts';
import { PlanError } from '../../src/os/errors.ts';
import { option, placesOf, pointOf, processOf } from '../support/plan.ts';

const recipe = (resources: string, backend: string, frontend = 'type: dynamo') => `name: v
model: {path: hf:org/Model-1, container: repo/i, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, ${resources}}
frontend: {${frontend}, enable_multiple_frontends: false}
backend:
  type: vllm
${backend.replaceAll(/^/gm, '  ')}
`;

const parallel = recipe(
  'prefill_nodes: 2, prefill_workers: 1, decode_nodes: 2, decode_workers: 1',
  `vllm_config:
  prefill: {data-parallel-size: 8, data_parallel_rpc_port: 13345, data-parallel-hybrid-lb: true}
  decode: {tensor-parallel-size: 8, served-model-name: x/Y}`,
);

describe('a data-parallel vLLM worker', () => {
  it('is one process on each node, which serves the ranks of its node', () => {
    const { endpointProcesses, processes } = pointOf(parallel);
    expect(endpointProcesses.map(({ mode, node, rank, ports }) => [mode, node, rank, ports])).toEqual([
      [
        'prefill',
        'node1',
        0,
        { http: 6100, bootstrap: 7200, kvEvents: 5200, nixl: 5400, system: 7500, requests: 9500 },
      ],
      [
        'prefill',
        'node2',
        4,
        { http: 6100, bootstrap: 7200, kvEvents: 5204, nixl: 5400, system: 7501, requests: 9501 },
      ],
      [
        'decode',
        'node3',
        0,
        { http: 6100, bootstrap: null, kvEvents: 5208, nixl: 5408, system: 7502, requests: 9502 },
      ],
      [
        'decode',
        'node4',
        1,
        { http: 0, bootstrap: null, kvEvents: 5209, nixl: 5409, system: 7503, requests: 9503 },
      ],
    ]);
    const second = processes.find(({ id }) => id === 'prefill-0-4');
    expect(second?.argv.join(' ')).toContain(
      '--data-parallel-size-local 4 --data-parallel-start-rank 4 --data-parallel-address 10.0.0.1 --data-parallel-rpc-port 8400 --data-parallel-hybrid-lb',
    );
    expect(second?.argv.filter((word) => word === '--data-parallel-hybrid-lb')).toHaveLength(1);
    expect(second?.probe).toMatchObject({ host: '10.0.0.2', port: 7501 });
    expect(second?.env).toMatchObject({
      DYN_VLLM_KV_EVENT_PORT: '5204',
      VLLM_NIXL_SIDE_CHANNEL_PORT: '5400',
      VLLM_NIXL_SIDE_CHANNEL_HOST: '10.0.0.2',
      VLLM_PORT: '20050',
    });
  });

  it('is a process for each rank when the recipe says so, each with its GPUs and its log', () => {
    const text = parallel.replace('type: vllm', 'type: vllm\n  dp_launch_mode: per_gpu');
    const prefill = pointOf(text).processes.filter(({ role }) => role === 'prefill');
    expect(prefill.map(({ id, gpus }) => [id, ...gpus])).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7].map((rank) => [`prefill-0-${rank}`, rank % 4]),
    );
    expect(new Set(prefill.map(({ node, logFile }) => `${node} ${logFile}`)).size).toBe(8);
    expect(option(prefill[5]?.argv ?? [], '--data-parallel-rank')).toBe('5');
    expect(option(prefill[5]?.argv ?? [], '--device-ids')).toBe('1');
    expect(option(prefill[5]?.argv ?? [], '--data-parallel-size-local')).toBeUndefined();
  });

  it('with ranks larger than a node has one part of each rank on each node', () => {
    const text = recipe(
      'agg_nodes: 4, agg_workers: 1',
      'vllm_config: {aggregated: {data-parallel-size: 2, tensor-parallel-size: 8}}',
    );
    const { argv } = processOf(text, 'agg-0-3');
    expect(argv.join(' ')).toContain('--nnodes 4 --node-rank 3');
    expect(argv).toContain('--headless');
    expect(option(argv, '--data-parallel-address')).toBe('10.0.0.1');
  });

  it('is refused when its sizes do not match its GPUs, with the line', () => {
    const text = parallel.replace('data-parallel-size: 8', 'data-parallel-size: 6');
    expect(() => pointOf(text)).toThrow(/data-parallel-size 6 of 1 GPUs each needs 6 GPUs, .* has 8/);
    expect(() => pointOf(parallel.replace('data-parallel-size: 8', 'data-parallel-size: many'))).toThrow(
      PlanError,
    );
  });
});

describe('a vLLM worker without data parallelism', () => {
  it('fails by its log when its engine core has died, because the server ends seconds later with exit code 0', () => {
    const isFatal = (line: string) =>
      (vllm.fatalLines ?? []).some((pattern) => new RegExp(pattern).test(line));
    const says = 'AsyncLLM output_handler failed.';
    expect(isFatal(`(APIServer pid=185923) ERROR 11-29 13:21:14 [async_llm.py:704] ${says}`)).toBe(true);
    expect(isFatal(`(ApiServer_1 pid=7) ERROR 11-29 13:21:14 [v1/engine/async_llm.py:546] ${says}`)).toBe(
      true,
    );
    expect(isFatal(`ERROR 07-03 20:47:11 [async_llm.py:420] ${says}`)).toBe(true);
    expect(isFatal(`(APIServer pid=1) INFO 11-29 13:21:14 [logger.py:40] prompt: '${says}'`)).toBe(false);
    expect(isFatal('(APIServer pid=1) ERROR 11-29 13:21:14 [serving.py:448] Error in stream.')).toBe(false);
  });

  it('has one process on each node, and only the first serves', () => {
    const { argv, probe } = processOf(parallel, 'decode-0-1');
    expect(argv.join(' ')).toContain('--master-addr 10.0.0.3 --nnodes 2 --node-rank 1 --headless');
    expect(option(argv, '--served-model-name')).toBe('x/Y');
    expect(probe).toMatchObject({ host: '10.0.0.3', port: 7502 });
  });

  it('gets the disabled options when they would be on, or when vLLM decides', () => {
    const options = 'enable-prefix-caching: false, enable_chunked_prefill: false, use-tqdm-on-load: false';
    const off = 'enforce-eager: false, disable-log-stats: false, async-scheduling: null';
    const config = `vllm_config: {aggregated: {${options}, ${off}}}`;
    const { argv } = processOf(recipe('agg_workers: 1', config), 'agg-0-0');
    expect(argv.filter((word) => /prefix-caching|prefill|tqdm|eager|log-stats|async/.test(word))).toEqual([
      ...['--no-enable-chunked-prefill', '--no-enable-prefix-caching', '--no-use-tqdm-on-load'],
    ]);
  });

  it('gets no base port when it spans nodes', () => {
    expect(processOf(parallel, 'decode-0-1').env).not.toHaveProperty('VLLM_PORT');
    expect(processOf(recipe('agg_workers: 1', 'connector: null'), 'agg-0-0').env).toHaveProperty('VLLM_PORT');
  });

  it('moves its KV cache by the connector of its mode, by that of the recipe, or by none', () => {
    const of = (backend: string) =>
      option(processOf(recipe('agg_workers: 1', backend), 'agg-0-0').argv, '--kv-transfer-config');
    expect(of('connector: nixl')).toBe('{"kv_connector": "NixlConnector", "kv_role": "kv_both"}');
    expect(of('connector: null')).toBeUndefined();
    expect(of('vllm_config: {aggregated: {connector: lmcache}}')).toContain('LMCacheConnectorV1');
    expect(of('vllm_config: {aggregated: {connector: none}}')).toBeUndefined();
    expect(of(`connector: '{"kv_connector":"Mine"}'`)).toBe('{"kv_connector":"Mine"}');
    expect(() => of('connector: nixel')).toThrow(/"nixel" is not a connector/);
  });

  it('gets its GPUs by an option, or by the environment for versions without the option', () => {
    const text = (config: string) => recipe('agg_workers: 2, gpus_per_agg: 2', config);
    const own = processOf(text('connector: null'), 'agg-1-0');
    expect(option(own.argv, '--device-ids')).toBe('2,3');
    expect(own.env.CUDA_VISIBLE_DEVICES).toBeUndefined();
    const old = processOf(text('set_cuda_visible_devices: true'), 'agg-1-0');
    expect(option(old.argv, '--device-ids')).toBeUndefined();
    expect(old.env.CUDA_VISIBLE_DEVICES).toBe('2,3');
  });

  it('is profiled between two steps by its own option', () => {
    const text = `${recipe('agg_workers: 1', 'connector: null')}profiling: {type: nsys, aggregated: {start_step: 5, stop_step: 9}}\n`;
    const { argv } = processOf(text, 'agg-0-0');
    expect(argv[0]).toBe('nsys');
    expect(option(argv, '--profiler-config')).toBe(
      '{"profiler": "cuda", "delay_iterations": 5, "max_iterations": 4}',
    );
  });
});

describe('prefill and decode workers of vLLM', () => {
  const text = (more: string) =>
    recipe(
      'prefill_nodes: 1, prefill_workers: 1, gpus_per_prefill: 2, decode_nodes: 1, decode_workers: 1, gpus_per_decode: 2',
      more,
    );

  it('have separate nodes, or share one when the recipe allows it and they fit', () => {
    expect(placesOf(text('connector: nixl'))).toEqual(['prefill-0 node1 0-1', 'decode-0 node2 0-1']);
    const together = text('allow_prefill_decode_colocation: true');
    expect(placesOf(together)).toEqual(['prefill-0 node1 0-1', 'decode-0 node1 2-3']);
    expect(pointOf(together).roles.workers).toEqual(['node1']);
  });

  it('share as few nodes as possible when that is allowed too', () => {
    const more = text(
      'allow_prefill_decode_colocation: true\nallow_prefill_decode_colocation_across_nodes: true',
    ).replace('decode_nodes: 1, decode_workers: 1', 'decode_nodes: 2, decode_workers: 3');
    expect(placesOf(more)).toEqual([
      'prefill-0 node1 0-1',
      'decode-0 node1 2-3',
      'decode-1 node2 0-1',
      'decode-2 node2 2-3',
    ]);
  });
});

describe('a vllm frontend', () => {
  const text = recipe(
    'agg_nodes: 2, agg_workers: 1',
    'vllm_config: {aggregated: {tensor-parallel-size: 8, port: 1, api-server-count: 4, max-num-seqs: 8}}',
    'type: vllm',
  );

  it('is no router: the worker serves the public port, and its other nodes work for it', () => {
    const { processes, benchmark } = pointOf(`${text}benchmark: {type: custom, command: x}\n`);
    expect(processes.filter(({ role }) => role === 'frontend' || role === 'etcd')).toEqual([]);
    const [leader, follower] = processes.filter(({ role }) => role === 'agg');
    expect(leader?.argv.slice(0, 7)).toEqual([
      ...['vllm', 'serve', 'org/Model-1', '--host', '0.0.0.0', '--port', '8000'],
    ]);
    expect(leader?.argv.filter((word) => word === '--port')).toHaveLength(1);
    expect(option(leader?.argv ?? [], '--api-server-count')).toBe('4');
    expect(leader?.ports.http).toBe(8000);
    expect(follower?.argv.join(' ')).toContain('--nnodes 2 --node-rank 1 --headless');
    expect(option(follower?.argv ?? [], '--api-server-count')).toBeUndefined();
    expect(option(follower?.argv ?? [], '--max-num-seqs')).toBe('8');
    expect(benchmark.process?.env.SRT_FRONTEND_URL).toBe('http://10.0.0.1:8000');
  });

  it('is refused for more than one worker, and for another engine', () => {
    expect(() => pointOf(text.replace('agg_workers: 1', 'agg_workers: 2'))).toThrow(/no router for several/);
    expect(() =>
      pointOf(text.replace('type: vllm\n', 'type: mocker\n').replace(/ {2}vllm_config.*\n/, '')),
    ).toThrow(/no mocker workers/);
  });
});
