import { describe, expect, it } from 'vitest';
import { requireRunnable } from '../../src/recipe/checks/runnable.ts';
import { loadText } from '../recipe/write.ts';
import { option, pointOf, processOf } from '../support/plan.ts';

const recipe = (engine: string, roles: string, dynamo = '{}', frontend = 'dynamo') => `schema: 2
name: beside
model: {path: hf:org/m, container: repo/image:1, precision: bf16}
resources: {gpu_type: h100, gpus_per_node: 4}
frontend: {type: ${frontend}, enable_multiple_frontends: false}
dynamo: ${dynamo}
engine: ${engine}
roles: {${roles}}
benchmark: {type: manual}
`;

/** The command lines of the engine and of its sidecar. */
function parts(argv: readonly string[]) {
  const [, , script, , name, host, port, seconds] = argv;
  expect([argv[0], script?.includes('/dev/tcp/')]).toEqual(['bash', true]);
  const at = argv.indexOf('beside:');
  return { name, host, port, seconds, engine: argv.slice(8, at), sidecar: argv.slice(at + 1) };
}

describe('an engine beside a sidecar of Dynamo', () => {
  it('of SGLang is its own server, and a prefill worker says where decode workers meet it', () => {
    const text = recipe(
      'sglang',
      'prefill: {nodes: 1, workers: 1, sidecar: true}, decode: {nodes: 2, workers: 1, sidecar: true}',
      '{sidecar_args: [--grpc-connections, "4"]}',
    );
    const prefill = processOf(text, 'prefill-0-0');
    const { engine, sidecar, port } = parts(prefill.argv);
    expect(port).toBe('50051');
    expect(engine.slice(0, 3)).toEqual(['python3', '-m', 'sglang.launch_server']);
    expect(engine).toEqual(
      expect.arrayContaining(['--skip-server-warmup', '--incremental-streaming-output']),
    );
    expect(option(engine, '--grpc-port')).toBe('50051');
    expect(option(engine, '--disaggregation-bootstrap-port')).toBe('7200');
    expect(engine).not.toContain('--request-plane');
    expect(sidecar).toEqual([
      ...['python3', '-m', 'dynamo.sglang.sidecar', '--grpc-endpoint', '127.0.0.1:50051'],
      ...['--bootstrap-host', '10.0.0.1', '--grpc-connections', '4'],
    ]);
    expect(prefill.env).toMatchObject({ SGLANG_RUST_BUILD_MODE: 'never', DYN_SYSTEM_PORT: '7500' });
    expect(prefill.ports).toMatchObject({ grpc: 50051, http: 6100, system: 7500, requests: 9500 });
    expect(prefill.probe).toMatchObject({ port: 7500, path: '/health' });
    const follower = processOf(text, 'decode-0-1');
    expect(follower.argv.slice(0, 3)).toEqual(['python3', '-m', 'sglang.launch_server']);
    expect(follower.argv).not.toContain('--grpc-port');
  });

  it('has a sidecar on a follower as well where that publishes KV events', () => {
    const args = 'tensor-parallel-size: 2, data-parallel-size: 2, enable-dp-attention: true';
    const agg = (kv: boolean) =>
      `agg: {nodes: 2, workers: 1, sidecar: true, kv_events: ${kv}, args: {${args}}}`;
    expect(parts(processOf(recipe('sglang', agg(true)), 'agg-0-1').argv).sidecar).toContain(
      'dynamo.sglang.sidecar',
    );
    expect(processOf(recipe('sglang', agg(false)), 'agg-0-1').argv[0]).toBe('python3');
  });

  it('of vLLM is the Rust server, and Python starts it where the engine has several nodes', () => {
    const one = parts(
      processOf(
        recipe('vllm', 'agg: {nodes: 1, workers: 2, gpus: 2, sidecar: true, args: {data-parallel-size: 2}}'),
        'agg-1-0',
      ).argv,
    );
    expect(one.engine.slice(0, 2)).toEqual(['vllm-rs', 'serve']);
    expect(one.engine).not.toContain('--data-parallel-hybrid-lb');
    expect(one.engine).not.toContain('--data-parallel-start-rank');
    expect(option(one.engine, '--data-parallel-size-local')).toBe('2');
    expect(one.port).toBe('50052');
    const tensor = recipe(
      'vllm',
      'agg: {nodes: 2, workers: 1, sidecar: true, args: {tensor-parallel-size: 8}}',
    );
    const leader = parts(processOf(tensor, 'agg-0-0').argv);
    expect(leader.engine.slice(0, 5).join(' ')).toBe(
      'env VLLM_USE_RUST_FRONTEND=1 python3 -m vllm.entrypoints.cli.main',
    );
    expect(processOf(tensor, 'agg-0-1').argv).toEqual(
      expect.arrayContaining(['--headless', '--master-port']),
    );
    const ranks = recipe('vllm', 'agg: {nodes: 2, workers: 1, sidecar: true, args: {data-parallel-size: 8}}');
    const second = parts(processOf(ranks, 'agg-0-4').argv);
    expect(option(second.engine, '--data-parallel-start-rank')).toBe('4');
    expect(second.engine).toContain('--data-parallel-hybrid-lb');
    expect(second.sidecar).toContain('dynamo.vllm.sidecar');
  });

  it('of vLLM says to its sidecar which half of the work it does', () => {
    const text = recipe(
      'vllm',
      'prefill: {nodes: 1, workers: 1, sidecar: true}, decode: {nodes: 1, workers: 1, sidecar: true}',
    );
    expect(parts(processOf(text, 'prefill-0-0').argv).sidecar.join(' ')).toContain(
      '--disaggregation-mode prefill --component prefill',
    );
    expect(processOf(text, 'prefill-0-0').env.VLLM_PLUGINS).toBe('');
  });

  it('of TensorRT-LLM takes gRPC alone', () => {
    const text = recipe(
      'trtllm',
      'agg: {nodes: 1, workers: 1, sidecar: true, args: {tensor_parallel_size: 4, max_seq_len: 4096}}',
    );
    const { engine, sidecar } = parts(processOf(text, 'agg-0-0').argv);
    expect(engine.join(' ')).toContain(
      'tensorrt_llm.commands.serve org/m --grpc --host 127.0.0.1 --port 50051',
    );
    expect(sidecar.join(' ')).toContain('--model-path org/m --context-length 4096');
  });

  it('is ready when its sidecar has registered', () => {
    const { processes } = pointOf(recipe('vllm', 'agg: {nodes: 1, workers: 1, sidecar: true}'));
    const { probe } = processes.find(({ id }) => id === 'frontend-0') ?? {};
    expect(probe?.kind === 'http' && probe.expect?.[0]?.address?.among).toEqual(['10.0.0.1:9500']);
  });

  it.each([
    [
      'TensorRT-LLM, disaggregated',
      recipe(
        'trtllm',
        'prefill: {nodes: 1, workers: 1, sidecar: true}, decode: {nodes: 1, workers: 1, sidecar: true}',
      ),
      'aggregated workers alone',
    ],
    [
      'the mocker',
      recipe('mocker', 'agg: {nodes: 1, workers: 1, sidecar: true}'),
      'Dynamo has no sidecar for',
    ],
    [
      'another router',
      recipe('sglang', 'agg: {nodes: 1, workers: 1, sidecar: true}', '{}', 'sglang-router'),
      'a dynamo frontend alone',
    ],
    [
      'one rank in each process',
      recipe('{type: vllm, dp_launch_mode: per_gpu}', 'agg: {nodes: 1, workers: 1, sidecar: true}'),
      'must be per_node',
    ],
  ])('is refused for %s', (_, text, why) => {
    const [variant] = loadText(text);
    if (!variant) throw new Error('no variant');
    expect(() => requireRunnable(variant, { mock: true, containers: false }, () => true)).toThrow(why);
  });
});
