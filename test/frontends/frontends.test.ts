import { describe, expect, it } from 'vitest';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput, type RuntimeInput } from '../../src/plan/runtime-context.ts';
import { cluster, loadText, small } from '../recipe/write.ts';

function frontendsOf(text: string, change: Partial<RuntimeInput> = {}) {
  const [variant] = loadText(text);
  if (!variant) throw new Error('no variant');
  const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
  const [point] = planVariant(
    variant,
    createRuntimeContext({ ...dryRunInput(nodes, cluster()), ...change }),
  ).points;
  return point?.processes.filter(({ role }) => role === 'frontend' || role === 'nginx') ?? [];
}

const several = (additional: number) =>
  small
    .replace('enable_multiple_frontends: false', `num_additional_frontends: ${additional}`)
    .replace('decode_nodes: 1', 'decode_nodes: 4')
    .replace('decode_workers: 1', 'decode_workers: 4');

describe('the SGLang router', () => {
  it('is told every worker, and is ready when it calls all of them healthy', () => {
    const [router] = frontendsOf(small.replace('decode_workers: 1', 'decode_workers: 2'));
    expect(router?.argv.join(' ')).toBe(
      'python3 -m sglang_router.launch_router --pd-disaggregation --prefill http://10.0.0.1:6100 7200' +
        ' --decode http://10.0.0.2:6100 --decode http://10.0.0.2:6132 --host 0.0.0.0 --port 8000',
    );
    expect(router?.probe).toMatchObject({
      path: '/workers',
      port: 8000,
      expect: [
        { at: ['workers'], where: { worker_type: 'prefill', is_healthy: true }, atLeast: 1 },
        { at: ['workers'], where: { worker_type: 'decode', is_healthy: true }, atLeast: 2 },
      ],
    });
  });

  it('knows aggregated workers as regular ones', () => {
    const text = small
      .replaceAll(/ {2}(prefill|decode)_(nodes|workers): 1\n/g, '')
      .replace('gpus_per_node: 8\n', 'gpus_per_node: 8\n  agg_nodes: 1\n  agg_workers: 2\n')
      .replace('prefill: {', 'aggregated: {');
    const [router] = frontendsOf(text);
    expect(router?.argv.slice(3, 6)).toEqual([
      '--worker-urls',
      'http://10.0.0.1:6100',
      'http://10.0.0.1:6132',
    ]);
    expect(router?.probe).toMatchObject({ expect: [{ where: { worker_type: 'regular' }, atLeast: 2 }] });
  });
});

describe('the Dynamo frontend', () => {
  it('is ready when every worker has registered to generate', () => {
    const [router] = frontendsOf(
      small.replace('type: sglang', 'type: dynamo\n  args: {router-mode: kv, no-kv-events: true}'),
    );
    expect(router?.argv.slice(3)).toEqual(['--http-port=8000', '--no-kv-events', '--router-mode', 'kv']);
    expect(router?.probe).toMatchObject({
      path: '/health',
      expect: [
        { at: ['instances'], where: { endpoint: 'generate', component: 'prefill' }, atLeast: 1 },
        { at: ['instances'], where: { endpoint: 'generate', component: 'backend' }, atLeast: 1 },
      ],
    });
  });
});

describe('several routers', () => {
  it('are one and the additional ones, on the nodes after the head, with nginx on the head', () => {
    const places = (text: string) =>
      frontendsOf(text).map(({ id, node, ports }) => `${id} ${node}:${ports.http}`);
    expect(places(several(1))).toEqual([
      'frontend-0 node2:8180',
      'frontend-1 node3:8180',
      'nginx node1:8000',
    ]);
    expect(places(several(9))).toHaveLength(5);
    expect(
      places(several(1).replace('num_additional', 'enable_multiple_frontends: false\n  num_additional')),
    ).toEqual(['frontend-0 node1:8000']);
  });

  it('stand behind an nginx that buffers nothing and writes nowhere but in the temporary directory', () => {
    const addresses = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`node${n}`, `127.0.0.${n + 1}`]));
    const local = {
      containers: false,
      hostNames: 'addresses',
      addresses,
      tmpDir: '/tmp/j',
      jobDir: '/jobs/j',
    } as const;
    const nginx = frontendsOf(several(1), local).at(-1);
    expect(nginx?.argv).toEqual(['nginx', '-c', '/jobs/j/logs/nginx.conf', '-g', 'daemon off;']);
    const [file] = nginx?.files ?? [];
    expect(file?.path).toBe('/jobs/j/logs/nginx.conf');
    expect(file?.content).toContain('listen 127.0.0.2:8000;');
    expect(file?.content).toMatch(/server 127\.0\.0\.3:8180 .*\n\s+server 127\.0\.0\.4:8180 /);
    expect(file?.content).toContain('proxy_buffering off;');
    const written = [...(file?.content ?? '').matchAll(/(?:pid|_path) (\S+);/g)].map((match) => match[1]);
    expect(written).toHaveLength(6);
    expect(written.every((path) => path?.startsWith('/tmp/j/'))).toBe(true);
  });

  it('have more open files where the recipe wants that', () => {
    const nginx = frontendsOf(
      several(1).replace('num_additional', 'nginx_raise_ulimit: true\n  num_additional'),
    ).at(-1);
    expect(nginx?.argv.slice(0, 3)).toEqual(['bash', '-c', 'ulimit -n 1048576 && exec "$0" "$@"']);
  });
});
