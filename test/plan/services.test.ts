import { describe, expect, it } from 'vitest';
import { deployPhases } from '../../src/messages/spec/deploy-phases.ts';
import { STOP_ORDER } from '../../src/messages/spec/process-spec.ts';
import { hetComponents } from '../../src/plan/het.ts';
import { pointOf, pointsOf, processOf } from '../support/plan.ts';

const recipe = (
  services: string,
  more: { frontend?: string; resources?: string; backend?: string } = {},
): string => `
name: with-services
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, ${more.resources ?? 'prefill_nodes: 1, prefill_workers: 2, decode_nodes: 1, decode_workers: 1'}}
frontend: {type: ${more.frontend ?? 'dynamo'}, enable_multiple_frontends: false}
backend: {${more.backend ?? 'type: sglang'}}
benchmark: {type: custom, command: 'true'}
services:
${services}`;

const one = (service: string, more = {}): string =>
  recipe(`  - {name: side, command: [run], ${service}}`, more);

const instances = (text: string, name = 'side', config = {}) =>
  pointOf(text, config).processes.filter(({ id }) => id.startsWith(`service-${name}-`));

const nodesOf = (text: string, name = 'side') => instances(text, name).map(({ node }) => node);

describe('the nodes of a service', () => {
  const pools = '\n  - {name: train, command: [x], nodes: 2}\n  - {name: nap, command: [x], nodes: 1}';

  it.each([
    ['head', ['node1']],
    ['infra', ['node1']],
    ['prefill', ['node1']],
    ['decode', ['node2']],
    ['agg', []],
    ['workers', ['node1', 'node2']],
    ['compute', ['node1', 'node2', 'node3', 'node4', 'node5']],
    ['all', ['node1', 'node2', 'node3', 'node4', 'node5']],
  ])('placed on %s', (node, expected) => {
    expect(nodesOf(`${one(`placement: {node: ${node}}`)}${pools}`)).toEqual(expected);
  });

  it('of its own follow those of the workers, in the order of the recipe', () => {
    const { roles } = pointOf(`${one('placement: {pool: train}')}${pools}`);
    expect(roles.workers).toEqual(['node1', 'node2']);
    expect(roles.pools).toEqual({ train: ['node3', 'node4'], nap: ['node5'] });
    expect(nodesOf(`${one('placement: {pool: train}')}${pools}`)).toEqual(['node3', 'node4']);
    expect(nodesOf(`${one('enabled: true')}${pools}`, 'train')).toEqual(['node3', 'node4']);
  });

  it('are not taken by a pool that is off', () => {
    const { roles } = pointOf(one('nodes: 3, enabled: false'));
    expect(roles.pools).toEqual({});
  });

  it('lie between the node for infrastructure and that of the benchmark', () => {
    const text = `${one('nodes: 1')}\n  - {name: etcd, type: etcd, placement: {node: dedicated}}`.replace(
      "command: 'true'}",
      "command: 'true', client_dedicated_node: true, colocate_with_frontend: false}",
    );
    const { roles } = pointOf(text);
    expect(roles).toEqual({
      infra: 'node1',
      head: 'node2',
      workers: ['node2', 'node3'],
      pools: { side: ['node4'] },
      bench: 'node5',
    });
  });

  it('are all there are in a job of services alone, whose head is the first of them', () => {
    const point = pointOf(one('nodes: 2', { frontend: 'none', resources: '' }));
    expect(point.roles).toMatchObject({ head: 'node1', workers: [], pools: { side: ['node1', 'node2'] } });
    expect(point.processes.map(({ id }) => id)).toEqual(['service-side-0', 'service-side-1', 'benchmark']);
  });
});

describe('an instance beside each worker', () => {
  const beside = instances(
    one(
      'placement: {node: prefill, per: worker}, args: ["{worker_role}/{worker_index}/{worker_node_rank}/{worker_gpus}/{worker_gpu_count}"]',
    ),
  );

  it('has the GPUs of that worker, and holds none', () => {
    expect(beside.map(({ env, gpus }) => [env.CUDA_VISIBLE_DEVICES, gpus])).toEqual([
      ['0,1,2,3', []],
      ['4,5,6,7', []],
    ]);
  });

  it('knows that worker, and has a log of its own', () => {
    expect(beside.map(({ argv }) => argv[1])).toEqual(['prefill/0/0/0,1,2,3/4', 'prefill/1/0/4,5,6,7/4']);
    expect(beside.map(({ logFile }) => logFile.split('/').at(-1))).toEqual([
      'service_side_prefill_0_node1.out',
      'service_side_prefill_1_node1.out',
    ]);
  });
});

describe('the process of a service', () => {
  it('has its command with placeholders filled in, and other braces as they are', () => {
    const [first, second] = instances(
      recipe(`  - name: side
    nodes: 2
    command: [run, "{node}|{node_ip}|{node_id}|{index}|{role}", "{head_node}|{head_ip}|{infra_node}|{infra_ip}"]
    args: ["{pool_node}|{pool_ip}|{pool_nodes}|{pool_ips}|{pool_node_count}", "{gpus_per_node}", "{other} {worker_gpus} \${node}"]
    env: {A: "{index}", J: '{"index": 1}'}`),
    );
    expect(first?.argv).toEqual([
      'run',
      'node3|10.0.0.3|0|0|workers',
      'node1|10.0.0.1|node1|10.0.0.1',
      'node3|10.0.0.3|node3,node4|10.0.0.3,10.0.0.4|2',
      '8',
      '{other} {worker_gpus} ${node}',
    ]);
    expect(second?.argv[1]).toBe('node4|10.0.0.4|1|1|workers');
    expect(second?.env).toMatchObject({ A: '1', J: '{"index": 1}' });
  });

  it('has the job’s registries in its environment where the job has them, unless the recipe does not want them', () => {
    const at = { ETCD_ENDPOINTS: 'http://node1:2379', NATS_SERVER: 'nats://node1:4222' };
    expect(instances(one('env: {A: b}'))[0]?.env).toEqual({ ...at, A: 'b' });
    expect(instances(one('inherit_discovery_env: false'))[0]?.env).toEqual({});
    expect(instances(one('env: {}', { frontend: 'sglang' }))[0]?.env).toEqual({});
  });

  it('runs its preamble in a shell that becomes the command', () => {
    expect(instances(one('preamble: "ulimit -n 9"'))[0]?.argv).toEqual([
      ...['bash', '-c', 'ulimit -n 9\nexec "$@"', 'bash', 'run'],
    ]);
  });

  it('has a log after its name, with the node where there are several', () => {
    const logs = (text: string) => instances(text).map(({ logFile }) => logFile.split('/').at(-1));
    expect(logs(one('nodes: 1'))).toEqual(['service_side.out']);
    expect(logs(one('nodes: 2'))).toEqual(['service_side_node3.out', 'service_side_node4.out']);
  });

  it('runs in its own image, else in that of the workers', () => {
    expect(instances(one('nodes: 1'))[0]?.image).toBe('repo/image:1');
    expect(instances(one('container: other/image:2'))[0]?.image).toBe('other/image:2');
  });

  it.each([
    ['readiness: {port: 7}', { kind: 'tcp', host: '10.0.0.1', port: 7, once: true }],
    ['readiness: {tcp: {port: 7}}', { kind: 'tcp', host: '10.0.0.1', port: 7, once: true }],
    [
      'readiness: {http: {port: 7, path: /up, status: 204}}',
      { kind: 'http', host: '10.0.0.1', port: 7, path: '/up', status: 204, once: true },
    ],
    ['readiness: {log: {pattern: "up$"}}', { kind: 'log', pattern: 'up$' }],
    [
      'readiness: {file: {path: "x/{node}.ready"}}',
      { kind: 'file', path: '/outputs/12345/logs/x/node1.ready' },
    ],
    ['readiness: {file: {path: /a/b}}', { kind: 'file', path: '/a/b' }],
    ['args: []', { kind: 'running' }],
  ])('is ready by %s', (readiness, probe) => {
    expect(instances(one(readiness))[0]?.probe).toEqual(probe);
  });

  it('has as long as the recipe gives it, and must become ready once', () => {
    expect(instances(one('readiness: {port: 7, timeout_seconds: 9, interval_seconds: 3}'))[0]).toMatchObject({
      ...{ startTimeoutMs: 9_000, probeEveryMs: 3_000, mustStart: true, critical: false, mayEnd: true },
      ports: { readiness: 7 },
    });
  });

  it('removes the file that says it is ready before it starts', () => {
    expect(instances(one('readiness: {file: {path: a}}'))[0]?.emptyDirs).toEqual(['/outputs/12345/logs/a']);
  });
});

describe('the start of services', () => {
  it.each([
    ['infra', 'infra', 'base'],
    ['before_workers', 'before_workers', 'base'],
    ['with_workers', 'worker', 'base'],
    ['after_frontend', 'after_frontend', 'service'],
  ])('%s is phase %s', (start, phase, role) => {
    expect(instances(one(`start: ${start}`))[0]).toMatchObject({ phase, role });
  });

  it('has its place among the phases, and in the order of stopping', () => {
    const at = (phase: (typeof deployPhases)[number]) => deployPhases.indexOf(phase);
    expect(at('before_workers')).toBeGreaterThan(at('install'));
    expect(at('before_workers')).toBeLessThan(at('worker'));
    expect(at('after_frontend')).toBeGreaterThan(at('proxy'));
    expect(at('after_frontend')).toBeLessThan(at('benchmark'));
    const group = (role: string) => STOP_ORDER.findIndex((roles) => roles.some((each) => each === role));
    expect(group('service')).toBeLessThan(group('frontend'));
    expect(group('base')).toBeGreaterThan(group('prefill'));
  });

  it('waits for each service that has to become ready before the next one, in the order of the recipe', () => {
    const text = recipe(`  - {name: a, command: [x]}
  - {name: b, command: [x], readiness: {port: 7}}
  - {name: c, command: [x], readiness: {port: 8}}
  - {name: d, command: [x]}
  - {name: e, command: [x], start: before_workers}`);
    const orders = pointOf(text).processes.flatMap(({ id, order = 0 }) =>
      id.startsWith('service-') ? [`${id} ${order}`] : [],
    );
    expect(orders.sort()).toEqual([
      'service-a-0 0',
      'service-b-0 0',
      'service-c-0 1',
      'service-d-0 2',
      'service-e-0 0',
    ]);
  });

  it('refuses two services with one port on a node, wherever they are placed', () => {
    const text = recipe(`  - {name: a, command: [x], readiness: {port: 7}}
  - {name: b, command: [x], placement: {node: prefill}, readiness: {http: {port: 7}}}`);
    expect(() => pointOf(text)).toThrow('"b" and service-a-0 both have port 7 on node1');
    expect(() => pointOf(text.replace('node: prefill', 'node: decode'))).not.toThrow();
  });
});

describe('services that a recipe implies', () => {
  const implied = (text: string) =>
    pointOf(text).services.map(({ name, impliedBy }) => `${name}: ${impliedBy ?? 'declared'}`);
  const text = recipe('  []');

  it('are etcd for Dynamo, and a Mooncake master where the backend has one', () => {
    expect(implied(text)).toEqual(['etcd: frontend.type: dynamo']);
    const mooncake =
      'type: sglang, mooncake_kv_store: {master_extra_args: [--x=1]}, sglang_config: {prefill: {disaggregation-transfer-backend: mooncake}}';
    expect(implied(recipe('  []', { frontend: 'sglang', backend: mooncake }))).toEqual([
      'mooncake-master: mooncake_kv_store',
    ]);
  });

  it('are replaced by a declared one, with the same process', () => {
    const declared = recipe('  - {name: etcd, type: etcd, args: [--debug]}');
    expect(implied(declared)).toEqual(['etcd: declared']);
    const [own, other] = [processOf(text, 'etcd'), processOf(declared, 'etcd')];
    expect(other).toEqual({ ...own, argv: [...own.argv, '--debug'] });
  });

  it('are left out when they are off', () => {
    const off = pointOf(recipe('  - {name: etcd, type: etcd, enabled: false}'));
    expect(off.processes.map(({ id }) => id)).not.toContain('etcd');
    expect(off.processes.find(({ id }) => id === 'frontend-0')?.env).not.toHaveProperty('ETCD_ENDPOINTS');
  });

  it('run elsewhere when the recipe says where', () => {
    const point = pointOf(
      recipe(`  - {name: etcd, type: etcd, external: 'http://etcd.example:2379'}
  - {name: nats, type: nats, external: 'nats://nats.example:4222'}
  - {name: side, command: [x]}`),
    );
    const at = { ETCD_ENDPOINTS: 'http://etcd.example:2379', NATS_SERVER: 'nats://nats.example:4222' };
    expect(point.processes.map(({ id }) => id)).not.toContain('etcd');
    for (const id of ['frontend-0', 'decode-0-0', 'service-side-0'])
      expect(point.processes.find((spec) => spec.id === id)?.env).toMatchObject(at);
  });

  it('are also there without Dynamo when they are declared', () => {
    const { processes } = pointOf(
      recipe('  - {name: etcd, type: etcd}\n  - {name: side, command: [x]}', { frontend: 'sglang' }),
    );
    expect(processes.map(({ id }) => id)).toContain('etcd');
    expect(processes.find(({ id }) => id === 'service-side-0')?.env).toEqual({
      ETCD_ENDPOINTS: 'http://node1:2379',
    });
  });

  it('give a declared Mooncake master the same process as the backend’s own', () => {
    const config = 'sglang_config: {prefill: {disaggregation-transfer-backend: mooncake}}';
    const ofBackend = `type: sglang, mooncake_kv_store: {master_extra_args: [--x=1], container: mine:1}, ${config}`;
    const first = recipe('  []', { frontend: 'sglang', backend: ofBackend });
    const second = recipe(
      "  - {name: mooncake-master, type: mooncake-master, args: ['--x=1'], container: mine:1}",
      {
        ...{ frontend: 'sglang', backend: `type: sglang, ${config}` },
      },
    );
    expect(processOf(second, 'mooncake-master')).toEqual(processOf(first, 'mooncake-master'));
    expect(processOf(second, 'prefill-0-0').env).toEqual(processOf(first, 'prefill-0-0').env);
  });
});

describe('typed services', () => {
  it('form a Ray cluster, whose first instance is ready before the others start', () => {
    const [head, member] = instances(recipe('  - {name: side, type: ray, nodes: 2}'));
    expect(head?.argv.join(' ')).toBe(
      'ray start --head --port=6379 --dashboard-host=0.0.0.0 --dashboard-port=8265 --node-ip-address=10.0.0.3 --num-gpus=8 --disable-usage-stats --block',
    );
    expect(member?.argv.slice(0, 4).join(' ')).toBe(
      'ray start --address=10.0.0.3:6379 --node-ip-address=10.0.0.4',
    );
    expect([head?.order ?? 0, member?.order]).toEqual([0, 1]);
    expect(head?.probe).toMatchObject({ kind: 'http', port: 8265, path: '/api/version' });
    expect(member?.probe).toMatchObject({ expect: [{ where: { node_ip: '10.0.0.4', state: 'ALIVE' } }] });
  });

  it('start exporters on nodes with GPUs in sight, and keep them when engines are new', () => {
    const { processes, services } = pointOf(
      recipe(
        '  - {name: dcgm, type: dcgm-exporter}\n  - {name: n, type: node-exporter, options: {port: 9999}}',
      ),
    );
    const of = (id: string) => processes.find((spec) => spec.id === id);
    expect(of('service-dcgm-0')).toMatchObject({ seesGpus: true, critical: false, ports: { http: 9401 } });
    expect(of('service-n-1')?.argv).toContain('--web.listen-address=:9999');
    expect(services.filter(({ standsAlone }) => standsAlone)).toHaveLength(2);
  });

  it('give stores the address of the master', () => {
    const text = recipe(
      '  - {name: mooncake-master, type: mooncake-master, container: mine:1}\n  - {name: side, type: mooncake-store, placement: {node: decode}}',
      { backend: 'type: sglang, sglang_config: {prefill: {disaggregation-transfer-backend: mooncake}}' },
    );
    expect(instances(text)[0]).toMatchObject({
      image: 'mine:1',
      env: {
        MOONCAKE_MASTER: '10.0.0.1:8700',
        MOONCAKE_TE_META_DATA_SERVER: 'http://10.0.0.1:8701/metadata',
        MOONCAKE_LOCAL_HOSTNAME: '10.0.0.2',
      },
    });
  });
});

describe('a custom benchmark', () => {
  it('finds each service by its variables', () => {
    expect(
      processOf(`${one('nodes: 2').replace('name: side', 'name: my-pool')}`, 'benchmark').env,
    ).toMatchObject({
      SRT_SERVICE_MY_POOL_NODES: 'node3,node4',
      SRT_SERVICE_MY_POOL_IPS: '10.0.0.3,10.0.0.4',
      SRT_SERVICE_MY_POOL_NODE_COUNT: '2',
      SRT_SERVICE_ETCD_NODES: 'node1',
      SRT_GPUS_PER_NODE: '8',
      SRT_WORKER_NODES: 'node1,node2',
    });
  });
});

describe('services from one point of a sweep to the next', () => {
  const sweep = (service: string): string =>
    `${recipe(`  - {name: side, command: [run], ${service}}`, { backend: 'type: sglang, sglang_config: {decode: {x: "{x}"}}' })}
sweep: {x: [1, 2]}`;
  const [before, after] = ['before_workers', 'after_frontend'].map((start) =>
    pointsOf(sweep(`start: ${start}`)).map((point) =>
      point.processes.find(({ role }) => role === 'base' || role === 'service'),
    ),
  );

  it('stay when they come before the workers', () => {
    expect(before?.[0]).toEqual(before?.[1]);
  });

  it('start again after new workers when they come after the frontend', () => {
    expect(after?.[0]?.restartsWith).not.toBe(after?.[1]?.restartsWith);
  });

  it('run again for each point when they are the run', () => {
    const specs = pointsOf(
      sweep('terminal: true').replace("type: custom, command: 'true'", 'type: manual'),
    ).map(({ processes }) => processes.find(({ role }) => role === 'service'));
    expect(new Set(specs.map((spec) => spec?.env.SRT_RESULT_DIR)).size).toBe(2);
    expect(specs.map((spec) => spec?.terminates)).toEqual([true, true]);
  });
});

it('a heterogeneous job may have a node for infrastructure that etcd asks for', () => {
  const text = recipe('  - {name: etcd, type: etcd, placement: {node: dedicated}}');
  const { recipe: loaded } = pointOf(text);
  const het = { ...loaded, resources: { ...loaded.resources, het_jobs: true } };
  expect(hetComponents(het)?.map(({ nodes }) => nodes)).toEqual([2, 1]);
});

describe('options of srun of a service', () => {
  const text = one(
    'cpus_per_task: 4, cpu_bind: cores, srun_options: {network: sharp, exclusive: true, nodelist: node9}',
    {},
  );

  it('are those of the srun that starts its container, but for what srtctl decides', () => {
    const [own] = instances(text);
    expect(own?.srunOptions).toEqual({ network: 'sharp', 'cpus-per-task': '4', 'cpu-bind': 'cores' });
    expect(instances(one('env: {A: b}'))[0]).not.toHaveProperty('srunOptions');
  });

  it('have no place where no container runs, or each process has its own', () => {
    for (const runtime of ['none', 'docker'])
      expect(instances(text, 'side', { container_runtime: runtime })[0]).not.toHaveProperty('srunOptions');
  });
});

describe('LMCache’s server', () => {
  const withConnector = (vllm: string, services = '  - {name: side, command: [x]}') =>
    recipe(services, { backend: `type: vllm, ${vllm}` });
  const servers = (text: string) => {
    const { services } = pointOf(text);
    return services.flatMap(({ type, name, nodes, impliedBy }) =>
      type === 'lmcache-server' ? [{ name, nodes, impliedBy }] : [],
    );
  };

  it('is implied by workers that use it, on their nodes', () => {
    expect(servers(withConnector('connector: lmcache-mp'))).toEqual([
      {
        name: 'lmcache-server',
        nodes: ['node1', 'node2'],
        impliedBy: 'connector lmcache-mp of prefill and decode',
      },
    ]);
    expect(servers(withConnector('vllm_config: {decode: {connector: LMCache-MP}}'))).toEqual([
      { name: 'lmcache-server', nodes: ['node2'], impliedBy: 'connector lmcache-mp of decode' },
    ]);
    expect(servers(withConnector('connector: nixl'))).toEqual([]);
  });

  it('is the declared one where the recipe has one, or turns it off', () => {
    const declared = '  - {name: lm, type: lmcache-server, placement: {node: prefill}}';
    expect(servers(withConnector('connector: lmcache-mp', declared))).toEqual([
      { name: 'lm', nodes: ['node1'], impliedBy: null },
    ]);
    const off = '  - {name: lmcache-server, type: lmcache-server, enabled: false}';
    expect(servers(withConnector('connector: lmcache-mp', off))).toEqual([]);
  });
});
