import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { listPrefix } from '../../src/simulator/common/etcd.ts';
import { until } from '../support/bus.ts';
import {
  engineArgv,
  findEtcd,
  healthy,
  metric,
  nodeAddress,
  post,
  type StandIn,
  start,
  useEtcd,
} from './stand-ins.ts';

const etcd = findEtcd();
const [infra, prefillNode, decodeNode] = [nodeAddress(12), nodeAddress(13), nodeAddress(14)] as const;
const [registryPort, frontendPort] = [await freePort(infra), await freePort(infra)];
const registry = `http://${infra}:${registryPort}`;
const frontendUrl = `http://${infra}:${frontendPort}`;
const directory = useEtcd(etcd, registry);

const environment = (systemPort: number) => ({
  ETCD_ENDPOINTS: registry,
  DYN_SYSTEM_PORT: String(systemPort),
});
function startWorker(node: string, systemPort: number, ...options: string[]): StandIn {
  const [python = '', , , ...args] = engineArgv(6100, '--request-plane', 'nats', ...options);
  return start(node, [python, '-m', 'dynamo.sglang', ...args], environment(systemPort));
}
const startFrontend = () =>
  start(infra, ['python3', '-m', 'dynamo.frontend', `--http-port=${frontendPort}`, '--router-mode', 'kv'], {
    ETCD_ENDPOINTS: registry,
  });

interface Health {
  status: string;
  endpoints: string[];
  instances: { component: string; endpoint: string; instance_id: number; transport: unknown }[];
}
async function components(): Promise<string[]> {
  const answer = await fetch(`${frontendUrl}/health`).catch(() => undefined);
  if (!answer) return [];
  const { instances } = (await answer.json()) as Health;
  return instances.map(({ component }) => component).sort();
}

describe.skipIf(!etcd)('Dynamo’s workers and frontend, over a real etcd', () => {
  it('find each other: a request is prefilled by one and decoded by the other', async () => {
    startFrontend();
    await until('a frontend without workers', async () => {
      const answer = await fetch(`${frontendUrl}/health`).catch(() => undefined);
      return answer && ((await answer.json()) as Health).instances.length === 0;
    });
    startWorker(
      prefillNode,
      7500,
      ...['--disaggregation-mode', 'prefill', '--disaggregation-bootstrap-port', '7200'],
    );
    startWorker(decodeNode, 7501, '--disaggregation-mode', 'decode');
    await until('both registered', async () => (await components()).length === 2);
    expect(await components()).toEqual(['backend', 'prefill']);
    const keys = [...(await listPrefix(registry, 'v1/instances/')).keys()];
    expect(keys.map((key) => key.replace(/[^/]+$/, '')).sort()).toEqual([
      'v1/instances/dynamo/backend/generate/',
      'v1/instances/dynamo/prefill/generate/',
    ]);
    await until('the model', async () => {
      const { data } = (await (await fetch(`${frontendUrl}/v1/models`)).json()) as { data: unknown[] };
      return data.length > 0;
    });
    const body = {
      model: 'a/model',
      messages: [{ role: 'user', content: 'a b c' }],
      max_tokens: 4,
      ignore_eos: true,
    };
    expect(await (await post(`${frontendUrl}/v1/chat/completions`, body)).json()).toMatchObject({
      usage: { prompt_tokens: 3, completion_tokens: 4 },
    });
    expect(await metric(`http://${prefillNode}:7500`, 'sglang:prompt_tokens_total')).toBe(3);
    expect(await (await fetch(`${frontendUrl}/v1/models`)).json()).toMatchObject({
      data: [{ id: 'a/model' }],
    });
  });

  it('a stopping worker removes itself from the registry', async () => {
    startFrontend();
    const worker = startWorker(decodeNode, 7501);
    await until('registered', async () => (await components()).join() === 'backend');
    worker.child.kill('SIGTERM');
    expect(await worker.ended()).toBe(0);
    await until('out of the registry', async () => (await listPrefix(registry, 'v1/instances/')).size === 0);
    await until('forgotten by the frontend', async () => (await components()).length === 0);
  });

  it('a worker reports on its system port whether it is ready, and writes its options to a file', async () => {
    const file = join(directory(), 'config.json');
    startWorker(decodeNode, 7501, '--dump-config-to', file);
    await healthy(`http://${decodeNode}:7501/health`);
    expect((await listPrefix(registry, 'v1/instances/')).size).toBe(1);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ server_args: { model_path: '/model' } });
  });

  it('only the first rank of a worker registers; each has a system port', async () => {
    const ranks = ['--nnodes', '2', '--dist-init-addr', `${prefillNode}:8300`, '--tp-size', '2'];
    startWorker(prefillNode, 7500, ...ranks, '--node-rank', '0');
    startWorker(decodeNode, 7501, ...ranks, '--node-rank', '1', '--port', '0');
    await healthy(`http://${prefillNode}:7500/health`);
    await healthy(`http://${decodeNode}:7501/health`);
    expect((await listPrefix(registry, 'v1/instances/')).size).toBe(1);
  });

  const withoutRegistry = { ETCD_ENDPOINTS: `http://${infra}:1`, ETCD_STARTUP_CONNECT_TIMEOUT_SECONDS: '1' };
  const mocker = ['python3', '-m', 'dynamo.mocker', '--model-path', '/model'];

  it.each([
    ['a worker', mocker],
    ['a frontend', ['python3', '-m', 'dynamo.frontend', `--http-port=${frontendPort}`]],
  ])('%s without a registry retries for a while and ends with exit code 1', async (_, argv) => {
    const standIn = start(decodeNode, argv, withoutRegistry);
    expect(await standIn.ended()).toBe(1);
    expect(standIn.output).toContain('etcd not reachable yet; retrying');
    expect(standIn.output).toMatch(/Exception: etcd startup connection timed out after 1 seconds\n$/);
  });

  it('a worker waits for a NATS server that does not run yet', async () => {
    const port = await freePort(infra);
    const worker = start(decodeNode, mocker, {
      ...environment(7502),
      NATS_SERVER: `nats://${infra}:${port}`,
    });
    await worker.says('NATS not reachable yet; retrying');
    const server = createServer((socket) => {
      socket.on('error', () => undefined).on('data', () => socket.write('PONG\r\n'));
      socket.write('INFO {}\r\n');
    }).listen(port, infra);
    await worker.says('NATS startup connection established');
    await worker.says('ready to roll');
    server.close();
  });
});
