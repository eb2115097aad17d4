import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { until } from '../support/bus.ts';
import {
  destroyAll,
  engineArgv,
  healthy,
  metric,
  nodeAddress,
  post,
  type StandIn,
  start,
} from './stand-ins.ts';

const [prefillNode, decodeNode, routerNode] = [nodeAddress(3), nodeAddress(4), nodeAddress(5)] as const;
const prefillUrl = `http://${prefillNode}:6100`;
const decodeUrl = `http://${decodeNode}:6100`;
const routerPort = await freePort(routerNode);
const routerUrl = `http://${routerNode}:${routerPort}`;
let prefill: StandIn;
let decode: StandIn;

beforeEach(async () => {
  const mode = (name: string) => engineArgv(6100, '--disaggregation-mode', name);
  prefill = start(prefillNode, [...mode('prefill'), '--disaggregation-bootstrap-port', '7200']);
  decode = start(decodeNode, mode('decode'));
  await Promise.all([healthy(`${prefillUrl}/health`), healthy(`${decodeUrl}/health`)]);
});
afterEach(destroyAll);

const request = (room: number) => ({
  ...{ prompt: 'one two three', max_tokens: 5, ignore_eos: true },
  ...{ bootstrap_host: prefillNode, bootstrap_port: 7200, bootstrap_room: room },
});
const usage = { prompt_tokens: 3, completion_tokens: 5 };

describe('prefill and decode workers', () => {
  it('a decode waits for the prefill of its own room', async () => {
    let answered = false;
    const decoding = post(`${decodeUrl}/v1/completions`, request(1)).finally(() => {
      answered = true;
    });
    const other = request(2);
    const [decoded] = await Promise.all([
      post(`${decodeUrl}/v1/completions`, other),
      post(`${prefillUrl}/v1/completions`, other),
    ]);
    expect(await decoded.json()).toMatchObject({ usage });
    expect(answered).toBe(false);
    expect((await post(`${prefillUrl}/v1/completions`, request(1))).status).toBe(200);
    expect(await (await decoding).json()).toMatchObject({ usage });
  });

  it('a prefill that ends before its decode asks is kept for it', async () => {
    const prefilled = await post(`${prefillUrl}/v1/completions`, { ...request(3), stream: true });
    expect(await prefilled.json()).toMatchObject({ usage: { completion_tokens: 1 } });
    expect(await (await post(`${decodeUrl}/v1/completions`, request(3))).json()).toMatchObject({ usage });
  });

  it('a decode fails when its prefill worker dies', async () => {
    const decoding = post(`${decodeUrl}/v1/completions`, request(4));
    prefill.child.kill('SIGKILL');
    const answer = await decoding;
    expect(answer.status).toBe(500);
    expect(await answer.text()).toContain('KVTransferError');
  });

  it('a decode refuses a request that names no prefill', async () => {
    expect((await post(`${decodeUrl}/v1/completions`, { prompt: 'a' })).status).toBe(400);
  });
});

describe('the router in front of prefill and decode workers', () => {
  interface Workers {
    workers: { url: string; worker_type: string; is_healthy: boolean }[];
    total: number;
    stats: Record<string, number>;
  }
  const workers = async () => (await (await fetch(`${routerUrl}/workers`)).json()) as Workers;
  const healthyOnes = async () => (await workers()).workers.filter((worker) => worker.is_healthy);
  const startRouter = async (...options: string[]) => {
    start(routerNode, [
      ...['python3', '-m', 'sglang_router.launch_router', '--pd-disaggregation'],
      ...['--prefill', prefillUrl, '7200', '--decode', decodeUrl, '--decode', 'http://127.0.0.1:1'],
      ...[
        '--host',
        '0.0.0.0',
        '--port',
        String(routerPort),
        '--worker-startup-check-interval',
        '1',
        ...options,
      ],
    ]);
    await healthy(`${routerUrl}/health`);
  };

  it('starts at once, lists the healthy workers, and sends each request to both roles', async () => {
    await startRouter('--policy', 'cache_aware');
    await until('both healthy', async () => (await healthyOnes()).length === 2);
    const { workers: list, total, stats } = await workers();
    expect(list.map(({ worker_type }) => worker_type).sort()).toEqual(['decode', 'prefill']);
    expect({ total, stats }).toEqual({
      total: 2,
      stats: { prefill_count: 1, decode_count: 1, regular_count: 0 },
    });
    const body = { model: 'a/model', prompt: 'one two three', max_tokens: 5, ignore_eos: true };
    for (const path of ['/v1/completions', '/v1/completions'])
      expect(await (await post(`${routerUrl}${path}`, body)).json()).toMatchObject({ usage });
    expect(await metric(prefillUrl, 'sglang:prompt_tokens_total')).toBe(6);
    expect(await metric(decodeUrl, 'sglang:prompt_tokens_total')).toBe(0);
  });

  it("forwards a client's disconnect to both workers", async () => {
    await startRouter();
    await until('both healthy', async () => (await healthyOnes()).length === 2);
    const stop = new AbortController();
    const body = { model: 'a/model', prompt: 'a', max_tokens: 100_000, ignore_eos: true, stream: true };
    const answer = await post(`${routerUrl}/v1/completions`, body, stop.signal);
    const reader = answer.body?.getReader();
    await reader?.read();
    await until('a request', async () => (await metric(decodeUrl, 'sglang:num_running_reqs')) === 1);
    stop.abort();
    await until('no request left', async () => (await metric(decodeUrl, 'sglang:num_running_reqs')) === 0);
  });

  it('still reports a lost worker as healthy, names it in errors, and then sends it nothing', async () => {
    await startRouter();
    await until('both healthy', async () => (await healthyOnes()).length === 2);
    decode.child.kill('SIGKILL');
    const ask = () => post(`${routerUrl}/v1/completions`, { model: 'a/model', prompt: 'a' });
    const first = await ask();
    expect(first.status).toBe(502);
    expect(await first.text()).toContain(`Decode server error: error sending request for url (${decodeUrl}`);
    expect((await healthyOnes()).length).toBe(2);
    await until('no more attempts', async () => (await ask()).status === 503);
  });
});

describe('TensorRT-LLM', () => {
  it('a context server answers with one token, and needs no room for more', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'srtctl-trtllm-'));
    const config = join(dir, 'config.yaml');
    await writeFile(config, 'max_seq_len: 8\n');
    const node = nodeAddress(6);
    start(node, ['trtllm-serve', '/model', '--host', '0.0.0.0', '--port', '6100', '--config', config]);
    const url = `http://${node}:6100`;
    await healthy(`${url}/health`);
    const body = { prompt: 'one two three four five six', max_tokens: 100, ignore_eos: true };
    const context = { ...body, disaggregated_params: { request_type: 'context_only' } };
    const answer = await post(`${url}/v1/completions`, context);
    expect(await answer.json()).toMatchObject({ usage: { prompt_tokens: 6, completion_tokens: 1 } });
    expect((await post(`${url}/v1/completions`, body)).status).toBe(400);
    await rm(dir, { recursive: true });
  });
});
