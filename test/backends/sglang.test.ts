import { describe, expect, it } from 'vitest';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { cluster, loadText, small } from '../recipe/write.ts';

function workersOf(text: string) {
  const [variant] = loadText(text);
  if (!variant) throw new Error('no variant');
  const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
  const [point] = planVariant(variant, createRuntimeContext(dryRunInput(nodes, cluster()))).points;
  return point?.processes.filter(({ id }) => /^(prefill|decode|agg)-/.test(id)) ?? [];
}

const option = (argv: readonly string[], name: string) => argv[argv.indexOf(name) + 1];

describe('an SGLang worker', () => {
  it('on several nodes has a leader with a server, and followers with its address', () => {
    const workers = workersOf(small.replace('decode_nodes: 1', 'decode_nodes: 2'));
    const [, leader, follower] = workers;
    expect(leader?.argv).toEqual(
      expect.arrayContaining(['--dist-init-addr', '10.0.0.2:8300', '--nnodes', '2', '--node-rank', '0']),
    );
    expect(follower?.argv).toEqual(
      expect.arrayContaining(['--dist-init-addr', '10.0.0.2:8300', '--node-rank', '1', '--port', '0']),
    );
    expect(follower?.ports).not.toHaveProperty('http');
    expect(follower?.probe).toEqual(leader?.probe);
    expect(leader?.probe).toEqual({
      kind: 'http',
      host: '10.0.0.2',
      port: 6100,
      path: '/health',
      generates: true,
    });
  });

  it('fails by its log when its port is taken or a child is gone, because it would keep running', () => {
    const { fatalLines = [] } = workersOf(small)[1] ?? {};
    const isFatal = (line: string) => fatalLines.some((pattern) => new RegExp(pattern).test(line));
    const says = "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 31000): taken";
    expect(isFatal(`[2026-11-20 12:30:44] ${says}`)).toBe(true);
    expect(isFatal(says)).toBe(true);
    expect(
      isFatal('[2026-11-20 12:34:06] Subprocess detokenizer (pid=95587) crashed with exit code -9. X'),
    ).toBe(true);
    expect(isFatal('[2026-11-20 12:34:06] SubprocessWatchdog thread crashed: x')).toBe(false);
    expect(isFatal(`[2026-11-20 12:30:44] the user asks: what is ${says}`)).toBe(false);
    expect(isFatal('[2026-11-20 12:30:44] INFO:     Waiting for application shutdown.')).toBe(false);
  });

  it('has ports of its own for missed events and for its load where the recipe says auto', () => {
    const workers = workersOf(`schema: 2
name: auto
model: { path: hf:org/m, container: registry/sglang:1, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 8 }
frontend: { type: sgl-router, enable_multiple_frontends: false }
engine: sglang
roles:
  agg:
    nodes: 1
    workers: 2
    gpus: 4
    kv_events: { replay_endpoint: auto }
    args: { tensor-parallel-size: 4, dp-size: 4, load-publish-endpoint: auto }
benchmark: { type: manual }
`);
    const events = workers.map(({ argv }) => JSON.parse(option(argv, '--kv-events-config') ?? ''));
    expect(events.map(({ replay_endpoint: replay }) => replay)).toEqual(['tcp://*:16500', 'tcp://*:16504']);
    expect(workers.map(({ argv }) => option(argv, '--load-publish-endpoint'))).toEqual([
      'tcp://*:17000',
      'tcp://*:17004',
    ]);
    expect(workers.map(({ ports }) => [ports.replay, ports.load])).toEqual([
      [16500, 17000],
      [16504, 17004],
    ]);
  });

  it('is ready by its own health behind the SGLang router, and by its system port under Dynamo', () => {
    expect(workersOf(small)[1]?.probe).toMatchObject({ port: 6100 });
    expect(workersOf(small.replace('type: sglang', 'type: dynamo'))[1]?.probe).toMatchObject({ port: 7501 });
  });

  it('sees only its own devices when it shares a node, and all of them when it has the node', () => {
    const shared = workersOf(small.replace('decode_workers: 1', 'decode_workers: 2'));
    expect(shared.map(({ env }) => env.CUDA_VISIBLE_DEVICES)).toEqual([undefined, '0,1,2,3', '4,5,6,7']);
    expect(shared.map(({ ports }) => ports.http)).toEqual([6100, 6100, 6132]);
  });

  it('has the options of its mode, sorted, true as an option without a value, and lists as several values', () => {
    const [, worker] = workersOf(
      small.replace(
        'decode: {tensor-parallel-size: 8}',
        'decode: {z: true, off: false, none: null, cuda_graph_bs: [1, 2], a: 1.0, j: {k: [1]}}',
      ),
    );
    const argv = worker?.argv ?? [];
    expect(argv.slice(argv.indexOf('--a'))).toEqual([
      '--a',
      '1.0',
      '--cuda-graph-bs',
      '1',
      '2',
      '--j',
      '{"k": [1]}',
      '--z',
    ]);
  });

  it('has the name that the recipe sets, or that of the model', () => {
    const name = (text: string) => option(workersOf(text)[0]?.argv ?? [], '--served-model-name');
    expect(name(small)).toBe('m');
    expect(name(small.replace('/models/m', 'hf:org/big'))).toBe('big');
    expect(name(small.replace('prefill: {', 'prefill: {served-model-name: org/x, '))).toBe('org/x');
  });

  it('publishes KV events when the recipe says so', () => {
    const workers = workersOf(
      small.replace('backend:\n', 'backend:\n  kv_events_config: {prefill: {topic: t}}\n'),
    );
    expect(option(workers[0]?.argv ?? [], '--kv-events-config')).toBe(
      '{"publisher": "zmq", "topic": "t", "endpoint": "tcp://*:5200"}',
    );
    expect(workers[1]?.argv).not.toContain('--kv-events-config');
  });

  it('gets its node and the steps to profile', () => {
    const [, worker] = workersOf(
      `${small.replace('backend:\n', 'backend:\n  decode_environment: {WHO: "{node}-{node_id}", HOME_IS: "${HOME}"}\n')}profiling:\n  type: nsys\n  decode: {start_step: 1, stop_step: 2}\n`,
    );
    expect(worker?.env).toMatchObject({ WHO: 'node2-1', HOME_IS: '${HOME}', PROFILE_DECODE_STOP_STEP: '2' });
    expect(worker?.argv.slice(0, 2)).toEqual(['nsys', 'profile']);
    expect(worker?.argv).toContain('/logs/profiles/decode/node2_decode_w0_profile_gpu0-1-2-3-4-5-6-7');
  });
});
