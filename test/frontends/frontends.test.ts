import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { frontendFor } from '../../src/frontends/index.ts';
import { countAll } from '../../src/node-agent/watch/count.ts';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput, type RuntimeInput } from '../../src/plan/runtime-context.ts';
import { cluster, loadText, small } from '../recipe/write.ts';
import { processOf } from '../support/plan.ts';

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
  it('gets the environment of all processes and its own, with the address of its node', () => {
    const [router] = frontendsOf(
      `${small.replace('enable_multiple_frontends: false', "env: { NAME: '{node}', KEPT: '${node}' }")}\nenvironment: { ID: '{node_id}' }\n`,
    );
    expect(router?.env).toEqual({ NAME: 'node2', KEPT: '${node}', ID: '1' });
  });

  it('gets every worker, and is ready when it considers all of them healthy', () => {
    const [router] = frontendsOf(small.replace('decode_workers: 1', 'decode_workers: 2'));
    expect(router?.argv.join(' ')).toBe(
      'python3 -m sglang_router.launch_router --pd-disaggregation --prefill http://10.0.0.1:6100 7200' +
        ' --decode http://10.0.0.2:6100 --decode http://10.0.0.2:6132 --host 0.0.0.0 --port 8000' +
        ' --worker-startup-timeout-secs 1800 --worker-startup-check-interval 1',
    );
    expect(router?.ports).toEqual({ http: 8000, metrics: 29_000 });
    expect(router?.probe).toMatchObject({
      path: '/workers',
      port: 8000,
      expect: [
        {
          at: ['workers'],
          where: { worker_type: 'prefill', is_healthy: true },
          count: 1,
          address: { field: ['url'], among: ['10.0.0.1:6100'] },
        },
        {
          at: ['workers'],
          where: { worker_type: 'decode', is_healthy: true },
          count: 2,
          address: { field: ['url'], among: ['10.0.0.2:6100', '10.0.0.2:6132'] },
        },
        {
          at: ['workers'],
          where: {},
          count: 0,
          address: { among: [], others: ['10.0.0.1:6100', '10.0.0.2:6100', '10.0.0.2:6132'] },
        },
      ],
    });
  });

  it('is as patient as the recipe, and keeps the recipe’s own options', () => {
    const args =
      'args: {worker-startup-timeout-secs: 7, worker_startup_check_interval: 3, prometheus-port: 29500}';
    const [router] = frontendsOf(
      `${small.replace('enable_multiple_frontends: false', `enable_multiple_frontends: false\n  ${args}`)}\nhealth_check: {interval_seconds: 2, max_attempts: 30}\n`,
    );
    expect(router?.argv.join(' ')).toMatch(
      / --port 8000 --prometheus-port 29500 --worker-startup-timeout-secs 7 --worker-startup-check-interval 3$/,
    );
    expect(router?.ports).toEqual({ http: 8000, metrics: 29_500 });
    const [other] = frontendsOf(`${small}\nhealth_check: {interval_seconds: 2, max_attempts: 30}\n`);
    expect(other?.argv).toContain('60');
  });

  it('treats aggregated workers as regular ones', () => {
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
    expect(router?.probe).toMatchObject({
      expect: [
        { where: { worker_type: 'regular' }, count: 2 },
        { where: {}, count: 0 },
      ],
    });
  });
});

const vllm = (frontend: string) =>
  small
    .replace('type: sglang\n', `type: ${frontend}\n`)
    .replace(/backend:\n( {2}.*\n)( {4}.*\n)+/, 'backend: {type: vllm}\n');

describe('smg', () => {
  it('accepts the command line of SGLang’s router, has time for its end, and accepts no token ids', () => {
    const [router] = frontendsOf(small.replace('type: sglang', 'type: smg'));
    expect(router?.argv.slice(0, 7)).toEqual([
      ...['python3', '-m', 'smg.launch_router', '--pd-disaggregation'],
      ...['--prefill', 'http://10.0.0.1:6100', '7200'],
    ]);
    expect(router?.graceMs).toBeGreaterThan(5_000);
    expect(frontendFor('smg')?.takesTokenIds).toBe(false);
  });

  it('has no prefill and decode workers of vLLM', () => {
    expect(() => frontendsOf(vllm('smg'))).toThrow(/smg has no prefill and decode workers of vLLM/);
  });
});

describe("vLLM's router", () => {
  it('has prefill and decode workers that are servers, with a transfer of KV caches', () => {
    const text = vllm('vllm-router');
    expect(frontendsOf(text)[0]?.argv.join(' ')).toMatch(
      /^python3 -m vllm_router.launch_router --vllm-pd-disaggregation --prefill http:\/\/10.0.0.1:6100 --decode http:\/\/10.0.0.2:6100 --host/,
    );
    const worker = processOf(text, 'prefill-0-0');
    expect(worker.argv.slice(0, 2)).toEqual(['vllm', 'serve']);
    expect(worker.argv.join(' ')).toContain(
      '--port 6100 --kv-transfer-config {"kv_connector": "NixlConnector"',
    );
    expect(worker.probe).toMatchObject({ port: 6100, path: '/health' });
    expect(worker.env).not.toHaveProperty('VLLM_MOONCAKE_BOOTSTRAP_PORT');
  });

  it('uses the bootstrap port of prefill workers when caches go through Mooncake', () => {
    const text = vllm('vllm-router\n  args: {kv-connector: mooncake}');
    expect(frontendsOf(text)[0]?.argv.slice(4, 7)).toEqual(['--prefill', 'http://10.0.0.1:6100', '7200']);
    expect(processOf(text, 'prefill-0-0').env).toMatchObject({ VLLM_MOONCAKE_BOOTSTRAP_PORT: '7200' });
  });

  it('has aggregated workers of SGLang, and no others of it', () => {
    expect(() => frontendsOf(small.replace('type: sglang', 'type: vllm-router'))).toThrow(
      /vllm-router has no prefill and decode workers of SGLang/,
    );
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
        {
          at: ['instances'],
          where: { endpoint: 'generate', component: ['prefill', 'tensorrt_llm_next'] },
          count: 1,
          address: { among: ['10.0.0.1:9500'], others: ['10.0.0.2:9501'], each: 1 },
        },
        {
          at: ['instances'],
          where: { endpoint: 'generate', component: ['backend', 'tensorrt_llm'] },
          count: 1,
          address: { among: ['10.0.0.2:9501'], others: ['10.0.0.1:9500'] },
        },
        {
          at: ['instances'],
          where: { endpoint: 'generate' },
          count: 0,
          most: 2,
          address: { among: [], others: ['10.0.0.1:9500', '10.0.0.2:9501'] },
        },
      ],
    });
  });
});

describe('the registration of older releases of Dynamo', () => {
  const shared = resolve(import.meta.dirname, '../../../shared/cases/01-dynamo-trtllm-health');

  it.skipIf(!existsSync(shared))(
    'is ready: one prefill and one decode worker of TensorRT-LLM, over NATS',
    () => {
      const [router] = frontendsOf(readFileSync(join(shared, 'recipe.yaml'), 'utf8'));
      const probe = router?.probe;
      const expected = probe?.kind === 'http' ? (probe.expect ?? []) : [];
      expect(countAll(readFileSync(join(shared, 'health.json'), 'utf8'), expected)).toEqual({
        ok: true,
        detail: '1 of 1 prefill workers, 1 of 1 decode workers',
      });
    },
  );
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

  it('are behind an nginx that buffers nothing and writes only into the temporary directory', () => {
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
    expect(file?.content).toMatch(/proxy_connect_timeout [2-5]s;/);
    expect(file?.content).toContain('proxy_buffering off;');
    const written = [...(file?.content ?? '').matchAll(/(?:pid|_path) (\S+);/g)].map((match) => match[1]);
    expect(written).toHaveLength(6);
    expect(written.every((path) => path?.startsWith('/tmp/j/'))).toBe(true);
  });

  it('have more open files when the recipe says so', () => {
    const nginx = frontendsOf(
      several(1).replace('num_additional', 'nginx_raise_ulimit: true\n  num_additional'),
    ).at(-1);
    expect(nginx?.argv[2]).toMatch(/^ulimit -n 1048576 .*exec "\$0" "\$@"$/);
  });
});

describe("nginx's config", () => {
  const conf = (frontend: string) =>
    processOf(
      small
        .replace(/frontend:\n( {2}.*\n)+/, `frontend: {type: sglang, ${frontend}}\n`)
        .replace('decode_nodes: 1', 'decode_nodes: 1'),
      'nginx',
    ).files?.[0]?.content ?? '';

  it('spreads requests by load, or sends those of a session to one router', () => {
    expect(conf('num_additional_frontends: 1')).toContain('least_conn;');
    const affine = conf('nginx_session_affinity: true, nginx_session_affinity_header: X-Correlation-ID');
    expect(affine).toContain('hash $session consistent;');
    expect(affine).toContain('map $http_x_correlation_id $session {');
    expect(affine).toContain('"" $request_id;');
    expect(affine).not.toContain('least_conn');
  });

  it('has the recipe’s idle time and limit of open files', () => {
    expect(conf('nginx_keepalive_timeout: 75s')).toContain('keepalive_timeout 75s;');
    expect(conf('nginx_raise_ulimit: true')).toContain('worker_rlimit_nofile 1048576;');
    expect(() => conf('nginx_keepalive_timeout: "1s; evil"')).toThrow(/must be a time as nginx reads it/);
  });
});

describe('the orchestrator’s file of trtllm_serve', () => {
  it('has the recipe’s routers and further keys, beside the servers', () => {
    const text = small
      .replace(
        /frontend:\n( {2}.*\n)+/,
        'frontend: {type: trtllm_serve, ctx_router: {type: conversation}, server_config_extra: {port: 1, x: 2}, orchestrator_placement: first_decode}\n',
      )
      .replace(/backend:\n( {2}.*\n)( {4}.*\n)+/, 'backend: {type: trtllm}\n');
    const frontend = processOf(text, 'frontend-0');
    expect(frontend.node).toBe('node2');
    expect(parse(frontend.files?.[0]?.content ?? '')).toEqual({
      x: 2,
      context_servers: { num_instances: 1, urls: ['10.0.0.1:6100'], router: { type: 'conversation' } },
      generation_servers: { num_instances: 1, urls: ['10.0.0.2:6100'] },
      hostname: '0.0.0.0',
      port: 8000,
    });
  });
});
