import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { HttpProbe } from '../../src/messages/spec/probe-spec.ts';
import type { ProcessSpec } from '../../src/messages/spec/process-spec.ts';
import { asksItself } from '../../src/node-agent/ports/answer-check.ts';
import { countAll } from '../../src/node-agent/watch/count.ts';
import { probeOnce } from '../../src/node-agent/watch/probe.ts';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { PUBLIC_PORT } from '../../src/recipe/values/ports.ts';
import { cluster, loadText } from '../recipe/write.ts';
import { engineArgv, findEtcd, nodeAddress, type StandIn, start, useEtcd } from '../simulator/stand-ins.ts';
import { until } from '../support/bus.ts';

const nodes = ['node1', 'node2'] as const;
const addresses = { node1: nodeAddress(21), node2: nodeAddress(22) };
const foreign = nodeAddress(23);
const etcd = findEtcd();
const etcdPort = await freePort(addresses.node1);
/** Replaces the plan's port 8000, which a program of this machine may have on every address. */
const publicPort = await freePort(addresses.node1);
const registry = `http://${addresses.node1}:${etcdPort}`;
useEtcd(etcd, registry);

type Mode = 'aggregated' | 'disaggregated';

/** Two workers on two nodes behind one router. */
const recipe = (frontend: string, mode: Mode, backend: string): string => `name: counted
model: { path: /models/m, container: repo/image:1, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 8, ${
  mode === 'aggregated'
    ? 'agg_nodes: 2, agg_workers: 2'
    : 'prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1'
} }
frontend: { type: ${frontend}, enable_multiple_frontends: false }
backend: { type: ${backend} }
benchmark: { type: sa-bench, isl: 128, osl: 128, concurrencies: 1x4 }
`;

/** The processes of the recipe's only point, on this test's addresses. */
function processesOf(text: string): readonly ProcessSpec[] {
  const [variant] = loadText(text);
  if (!variant) throw new Error('no variant');
  const planned = nodes.slice(0, nodesNeeded(variant));
  const input = { ...dryRunInput(planned, cluster()), addresses, hostNames: 'addresses' } as const;
  const infraPorts = { nats: 4222, etcdClient: etcdPort, etcdPeer: 2380 };
  const port = (_: string, planned: number) => (planned === PUBLIC_PORT ? publicPort : planned);
  const [point] = planVariant(
    variant,
    createRuntimeContext({ ...input, containers: false, infraPorts, port }),
  ).points;
  if (!point) throw new Error('no point');
  return point.processes.filter(({ role }) => /^(prefill|decode|agg|frontend)$/.test(role));
}

const addressOf = (node: string): string => addresses[node as keyof typeof addresses];

const urlOf = ({ node, ports }: ProcessSpec): string => `http://${addressOf(node)}:${ports.http}`;

/** A probe of the router's list of workers. Other tests check whether the router then answers a completion. */
function countsOf(processes: readonly ProcessSpec[]): HttpProbe {
  const probe = processes.find(({ role }) => role === 'frontend')?.probe;
  if (probe?.kind !== 'http' || !probe.expect) throw new Error('the router is not asked for its workers');
  const { steps: _, ...first } = probe;
  return first;
}

interface Running {
  readonly answer: () => Promise<{ ok: boolean; detail: string }>;
  readonly workers: Map<string, StandIn>;
  readonly again: (id: string, env?: Record<string, string>) => void;
}

/**
 * Starts the stand-ins of all processes except `without`. A router that gets its workers as options also gets `more`.
 */
function run(
  processes: readonly ProcessSpec[],
  { without = [], more = [] }: { without?: readonly string[]; more?: readonly string[] } = {},
): Running {
  const workers = new Map<string, StandIn>();
  const begin = ({ id, node, argv, env }: ProcessSpec, changed: Record<string, string> = {}) => {
    // The stand-ins log in to NATS when there is one, and work without it otherwise.
    const { NATS_SERVER: _, ...others } = env;
    workers.set(id, start(addressOf(node), argv, { ...others, SRTCTL_SIM_MODEL_READ_MS: '0', ...changed }));
  };
  for (const spec of processes) {
    if (without.includes(spec.id)) continue;
    begin(spec.role === 'frontend' ? { ...spec, argv: [...spec.argv, ...more] } : spec);
  }
  const probe = countsOf(processes);
  return {
    workers,
    answer: () => probeOnce(probe, 2_000, new AbortController().signal),
    again(id, env) {
      const spec = processes.find((each) => each.id === id);
      if (spec) begin(spec, env);
    },
  };
}

async function says(running: Running, wanted: RegExp): Promise<void> {
  let said = '';
  const isSaid = async () => {
    said = (await running.answer()).detail;
    return wanted.test(said);
  };
  await until('the answer', isSaid, 30_000).catch(() => {
    const outputs = [...running.workers].map(([id, { output }]) => `${id}: ${output}`);
    throw new Error([`the router says "${said}" and not ${wanted}`, ...outputs].join('\n'));
  });
}

/** Resolves when the router's list is final, because no more worker is expected. */
async function stays(running: Running, wanted: { ok: boolean; detail: RegExp }): Promise<void> {
  await says(running, wanted.detail);
  const { ok, detail } = await running.answer();
  expect({ ok, detail }).toEqual({ ok: wanted.ok, detail: expect.stringMatching(wanted.detail) });
}

describe.each(['sglang', 'smg', 'vllm-router'] as const)('%s, which gets its workers by option', (type) => {
  const text = recipe(type, 'aggregated', 'sglang');
  /** Looks for ended workers each second. */
  const quick = ['--health-check-interval-secs', '1', '--health-failure-threshold', '1'];
  const foreignUrl = `http://${foreign}:6100`;
  const aForeignWorker = () => start(foreign, engineArgv(6100));
  /** The first option of the router's command line is its list of workers. Adds a stranger to it. */
  const withForeign = (processes: readonly ProcessSpec[]) =>
    processes.map((spec) =>
      spec.role === 'frontend'
        ? {
            ...spec,
            argv: spec.argv.flatMap((word) => (word === '--worker-urls' ? [word, foreignUrl] : [word])),
          }
        : spec,
    );

  it('is ready with the planned workers', async () => {
    await stays(run(processesOf(text)), { ok: true, detail: /^2 of 2 agg workers$/ });
  });

  it('is not ready with a foreign worker beside ours, which is named', async () => {
    aForeignWorker();
    const running = run(withForeign(processesOf(text)));
    await stays(running, {
      ok: false,
      detail: new RegExp(`^2 of 2 agg workers; a stranger is registered: ${foreign}:6100$`),
    });
  });

  // vLLM's router opens its port when all workers are healthy, so no stranger can replace one of ours.
  if (type !== 'vllm-router')
    it('is not ready with a foreign worker in the place of one of ours; both are named', async () => {
      aForeignWorker();
      const processes = withForeign(processesOf(text));
      await stays(run(processes, { without: ['agg-1-0'] }), {
        ok: false,
        detail: new RegExp(
          `^1 of 2 agg workers \\(without ${addresses.node2}:\\d+\\); a stranger is registered: ${foreign}:6100$`,
        ),
      });
    });

  it('ignores entries of an ended worker', async () => {
    const running = run(processesOf(text), { more: quick });
    await says(running, /^2 of 2 agg workers$/);
    running.workers.get('agg-1-0')?.child.kill('SIGKILL');
    await stays(running, {
      ok: false,
      detail: new RegExp(`^1 of 2 agg workers \\(without ${addresses.node2}:\\d+\\)$`),
    });
  });

  it('is ready when a release without /workers lists the URLs of the planned workers, and no others', async () => {
    const processes = processesOf(text);
    const urls = processes.filter(({ role }) => role === 'agg').map(urlOf);
    const answer = async (listed: readonly string[]) => {
      const server = createServer(({ url }, response) => {
        if (url === '/list_workers') response.end(JSON.stringify({ urls: listed }));
        else response.writeHead(404).end();
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const probe = { ...countsOf(processes), host: '127.0.0.1', port };
      const { ok, detail } = await probeOnce(probe, 2_000, new AbortController().signal);
      server.close();
      return { ok, detail };
    };
    expect(await answer(urls)).toEqual({ ok: true, detail: '2 of 2 agg workers' });
    expect(await answer(urls.slice(1))).toEqual({
      ok: false,
      detail: expect.stringMatching(/^1 of 2 agg workers \(without \S+\)$/),
    });
    expect(await answer([...urls, foreignUrl])).toEqual({
      ok: false,
      detail: `2 of 2 agg workers; a stranger is registered: ${foreign}:6100`,
    });
  });

  it('is not ready with a foreign worker that is unhealthy, or that claims another mode', () => {
    const processes = processesOf(text);
    const { expect: counts = [] } = countsOf(processes);
    const ours = processes
      .filter(({ role }) => role === 'agg')
      .map((spec) => ({ url: urlOf(spec), worker_type: 'regular', is_healthy: true }));
    const answer = (other: object) =>
      countAll(JSON.stringify({ workers: [...ours, { url: foreignUrl, ...other }] }), counts);
    const named = {
      ok: false,
      detail: `2 of 2 agg workers; a stranger is registered: ${foreign}:6100`,
    };
    expect(answer({ worker_type: 'regular', is_healthy: false })).toEqual(named);
    expect(answer({ worker_type: 'prefill', is_healthy: true })).toEqual(named);
    expect(answer({ worker_type: 'decode', is_healthy: true })).toEqual(named);
  });
});

describe.skipIf(!etcd)('dynamo, whose workers register', () => {
  const workerOf = (processes: readonly ProcessSpec[], id: string): ProcessSpec => {
    const found = processes.find((spec) => spec.id === id);
    if (!found) throw new Error(`no ${id}`);
    return found;
  };
  const registers = (spec: ProcessSpec) => `${addressOf(spec.node)}:${spec.ports.requests}`;
  /** A worker of another job that uses this job's registry. */
  const aForeignWorker = (...options: string[]) =>
    start(foreign, ['python3', '-m', 'dynamo.sglang', ...engineArgv(6100, ...options).slice(3)], {
      ETCD_ENDPOINTS: registry,
      DYN_TCP_RPC_HOST: foreign,
      DYN_TCP_RPC_PORT: '9999',
    });

  const modes = [
    ['aggregated', 'agg-0-0', '2 of 2 agg workers'],
    ['disaggregated', 'decode-0-0', '1 of 1 prefill workers, 1 of 1 decode workers'],
  ] as const;
  describe.each(modes)('%s', (mode, one, all) => {
    const processes = processesOf(recipe('dynamo', mode, 'sglang'));

    it('is ready with the planned workers', async () => {
      await stays(run(processes), { ok: true, detail: new RegExp(`^${all}$`) });
    });

    it.each([
      ['aggregated', []],
      ['prefill', ['--disaggregation-mode', 'prefill', '--disaggregation-bootstrap-port', '7200']],
    ])('is not ready with a foreign %s worker beside ours, which is named', async (_, options) => {
      aForeignWorker(...options);
      await stays(run(processes), {
        ok: false,
        detail: new RegExp(`^${all}; a stranger is registered: ${foreign}:9999$`),
      });
    });

    it('is not ready with the entry of an ended worker beside its successor', async () => {
      const running = run(processes);
      await says(running, new RegExp(`^${all}$`));
      const ended = running.workers.get(one);
      ended?.child.kill('SIGKILL');
      await ended?.ended();
      running.again(one);
      const address = registers(workerOf(processes, one));
      await stays(running, {
        ok: false,
        detail: new RegExp(`^${all}; ${address} is registered 2 times instead of 1$`),
      });
    });

    it('is not ready with the entry of an ended worker at another port', async () => {
      const running = run(processes);
      const ended = running.workers.get(one);
      await says(running, new RegExp(`^${all}$`));
      ended?.child.kill('SIGKILL');
      await ended?.ended();
      running.again(one, { DYN_TCP_RPC_PORT: '9998' });
      const stale = workerOf(processes, one);
      await stays(running, {
        ok: false,
        detail: new RegExp(`a stranger is registered: ${addressOf(stale.node)}:9998$`),
      });
    });
  });

  it('counts foreign workers without an address, which requests over NATS have', () => {
    const { expect: counts = [] } = countsOf(processesOf(recipe('dynamo', 'aggregated', 'sglang')));
    const instance = (component: string) => ({
      ...{ component, endpoint: 'generate' },
      transport: { nats_tcp: `dynamo_${component}.generate-1` },
    });
    const answer = (...components: string[]) =>
      countAll(JSON.stringify({ instances: components.map(instance) }), counts);
    expect(answer('backend', 'backend').ok).toBe(true);
    expect(answer('backend').ok).toBe(false);
    expect(answer('backend', 'backend', 'prefill')).toEqual({
      ok: false,
      detail: '2 of 2 agg workers; 1 too many workers are registered',
    });
  });
});

describe('a router that cannot list its workers', () => {
  it('trtllm_serve has exactly the planned workers in its file, whatever the recipe adds', () => {
    const extra = "server_config_extra: { context_servers: { num_instances: 1, urls: ['10.9.9.9:1'] } }";
    const text = recipe('trtllm_serve', 'disaggregated', 'trtllm').replace(
      'enable_multiple_frontends: false',
      `enable_multiple_frontends: false, ${extra}`,
    );
    const [frontend, ...more] = processesOf(text).filter(({ role }) => role === 'frontend');
    expect(more).toEqual([]);
    const file = parse(frontend?.files?.[0]?.content ?? '') as Record<string, { urls: string[] }>;
    const servers = [...(file.context_servers?.urls ?? []), ...(file.generation_servers?.urls ?? [])];
    expect(servers).toEqual([`${addresses.node1}:6100`, `${addresses.node2}:6100`]);
    expect(frontend?.phase, 'begins when all of them are ready').toBe('frontend');
  });

  it('vllm is the planned worker itself: its probe requests the public port, which must be its own', () => {
    const text = recipe('vllm', 'aggregated', 'vllm').replace(
      'agg_nodes: 2, agg_workers: 2',
      'agg_nodes: 1, agg_workers: 1',
    );
    const [worker, ...more] = processesOf(text);
    expect(more).toEqual([]);
    if (!worker) throw new Error('no worker');
    expect(worker.probe).toMatchObject({ kind: 'http', host: addresses.node1, port: publicPort });
    expect(asksItself(worker)).toBe(true);
  });
});
