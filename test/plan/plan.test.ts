import { describe, expect, it } from 'vitest';
import { PlanError } from '../../src/os/errors.ts';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput, type RuntimeInput } from '../../src/plan/runtime-context.ts';
import { cluster, loadText, small } from '../recipe/write.ts';

function planText(text: string, change: Partial<RuntimeInput> = {}) {
  const [variant] = loadText(text);
  if (!variant) throw new Error('no variant');
  const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
  return planVariant(variant, createRuntimeContext({ ...dryRunInput(nodes, cluster()), ...change }));
}

const bare: Partial<RuntimeInput> = {
  containers: false,
  hostNames: 'addresses',
  addresses: { node1: '127.0.0.2', node2: '127.0.0.3' },
  jobDir: '/jobs/j1',
  tmpDir: '/tmp/j1',
  infraPorts: { nats: 14222, etcdClient: 12379, etcdPeer: 12380 },
};

describe('a point', () => {
  it('starts infrastructure, steps, workers, routers, nginx and benchmark in this order', () => {
    const text = small
      .replace('type: sglang', 'type: dynamo')
      .replace('enable_multiple_frontends: false', 'num_additional_frontends: 0');
    const [point] = planText(text, { ...bare, setupScript: '/s.sh' }).points;
    expect(point?.processes.map(({ phase, id }) => `${phase} ${id}`)).toEqual([
      'infra etcd',
      'step setup-0',
      'step setup-1',
      'worker prefill-0-0',
      'worker decode-0-0',
      'frontend frontend-0',
      'proxy nginx',
      'benchmark benchmark',
    ]);
  });

  it('has a directory that sorts by its number, for any number of points', () => {
    const named = (count: number) => {
      const list = Array.from({ length: count }, (_, at) => at + 1);
      return planText(`${small}sweep: {a: [${list}]}\n`, bare).points.map(
        ({ benchmark }) => benchmark.resultDir,
      );
    };
    expect(named(2)[1]).toContain('/points/01-');
    const many = named(101);
    expect(many[100]).toContain('/points/100-');
    expect([...many].sort()).toEqual(many);
  });

  it('starts a router that waits for its workers together with them, and no etcd for it', () => {
    const [point] = planText(small, bare).points;
    expect(point?.processes.map(({ phase, id }) => `${phase} ${id}`)).toEqual([
      'worker prefill-0-0',
      'worker decode-0-0',
      'worker frontend-0',
      'benchmark benchmark',
    ]);
  });

  it('keeps etcd from point to point, with its data in the temporary directory', () => {
    const text = `sweep: {tp: [4, 8]}\n${small.replace('type: sglang', 'type: dynamo').replaceAll('size: 8', 'size: "{tp}"')}`;
    const etcds = planText(text, bare).points.map(({ processes }) =>
      processes.find(({ id }) => id === 'etcd'),
    );
    expect(etcds).toHaveLength(2);
    expect(etcds[0]).toEqual(etcds[1]);
    expect(etcds[0]?.argv).toContain('/tmp/j1/etcd');
    expect(etcds[0]?.argv).toContain('http://127.0.0.2:12379');
  });

  it('has the whole time of the health check to start', () => {
    const [point] = planText(`${small}health_check: {interval_seconds: 5, max_attempts: 12}\n`).points;
    expect(point?.processes.find(({ id }) => id === 'decode-0-0')?.startTimeoutMs).toBe(60_000);
    const [usual] = planText(small).points;
    expect(usual?.processes.find(({ id }) => id === 'decode-0-0')?.startTimeoutMs).toBe(1_800_000);
  });

  it('puts infrastructure on its own node when the recipe says so', () => {
    const plan = planText(`${small}infra: {etcd_nats_dedicated_node: true}\n`);
    expect(plan.totalNodes).toBe(3);
    expect(plan.points[0]?.roles).toEqual({
      head: 'node2',
      infra: 'node1',
      bench: 'node2',
      workers: ['node2', 'node3'],
      pools: {},
    });
  });
});

describe('on a bare host', () => {
  it('processes get paths of the host, and no image', () => {
    const [point] = planText(small, bare).points;
    const worker = point?.processes.find(({ id }) => id === 'prefill-0-0');
    expect(worker?.argv.slice(0, 5)).toEqual([
      'python3',
      '-m',
      'sglang.launch_server',
      '--model-path',
      '/models/m',
    ]);
    expect(worker).toMatchObject({ image: null, logFile: '/jobs/j1/logs/node1_prefill_w0.out' });
    expect(worker?.env).toMatchObject({
      NATS_SERVER: 'nats://127.0.0.2:14222',
      ETCD_ENDPOINTS: 'http://127.0.0.2:12379',
    });
  });
});

describe('workers that do not fit', () => {
  const why = (from: string, to: string): string => {
    try {
      planText(small.replace(from, to));
    } catch (error) {
      if (error instanceof PlanError) return error.oneLine().replace(/^.*recipe\.yaml/, 'recipe.yaml');
      throw error;
    }
    return 'it fits';
  };

  it('are refused with the line that requests them', () => {
    expect(why('decode_workers: 1', 'decode_workers: 30')).toBe(
      'recipe.yaml:9:3: resources.decode_workers: 30 decode workers do not fit on 8 GPUs',
    );
    expect(why('decode_nodes: 1', 'decode_nodes: 0')).toMatch(
      /:9:3: resources\.decode_workers: 1 decode workers of 8 GPUs each do not fit/,
    );
    expect(why('decode_workers: 1', 'decode_workers: 1\n  gpus_per_decode: 12')).toMatch(
      /:9:3: resources\.decode_workers: 1 decode workers of 12 GPUs each do not fit on 2 nodes of 8/,
    );
  });

  it('are refused when there are none, or both kinds', () => {
    const none = small
      .replace(/ {2}(prefill|decode)_(nodes|workers): 1\n/g, '')
      .replaceAll(/ {2}(prefill|decode)_(nodes|workers): 1\n/g, '');
    expect(() => planText(none)).toThrow(/names no workers/);
    expect(why('decode_workers: 1', 'decode_workers: 1\n  agg_workers: 1')).toMatch(
      /either aggregated workers, or/,
    );
  });
});
