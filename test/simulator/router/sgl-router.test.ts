import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../../src/platform/local/local-platform.ts';
import { until } from '../../support/bus.ts';
import { destroyAll, engineArgv, healthy, metric, nodeAddress, post, start } from '../stand-ins.ts';

const [prefillNode, decodeNode, routerNode] = [nodeAddress(21), nodeAddress(22), nodeAddress(23)] as const;
const [routerPort, prefillPort, decodePort] = [
  await freePort(routerNode),
  await freePort(prefillNode),
  await freePort(decodeNode),
] as const;
const routerUrl = `http://${routerNode}:${routerPort}`;
const prefillUrl = `http://${prefillNode}:${prefillPort}`;
const decodeUrl = `http://${decodeNode}:${decodePort}`;
afterEach(destroyAll);

const router = (...options: string[]) => [
  'sgl-router',
  '--host',
  '0.0.0.0',
  '--port',
  String(routerPort),
  ...options,
];
const chat = { model: 'm', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 2 };

describe("SGLang's standalone router", () => {
  it('learns from its workers which of them prefill', async () => {
    const mode = (port: number, name: string) => engineArgv(port, '--disaggregation-mode', name);
    start(prefillNode, [...mode(prefillPort, 'prefill'), '--disaggregation-bootstrap-port', '7200']);
    start(decodeNode, mode(decodePort, 'decode'));
    start(routerNode, router('--model-id', 'm', '--worker-urls', prefillUrl, decodeUrl));
    await healthy(`${routerUrl}/readyz`);
    const answer = await until('an answer of both', async () => {
      const each = await post(`${routerUrl}/v1/chat/completions`, chat);
      return each.status === 200 ? each : undefined;
    });
    expect(await answer.json()).toMatchObject({ choices: [{ message: { role: 'assistant' } }] });
    expect(await metric(prefillUrl, 'sglang:num_requests_total')).toBeGreaterThan(0);
    expect(await metric(decodeUrl, 'sglang:num_requests_total')).toBeGreaterThan(0);
  });

  it('has no /v1/completions', async () => {
    start(prefillNode, engineArgv(prefillPort));
    start(routerNode, router('--model-id', 'm', '--worker-urls', prefillUrl));
    await healthy(`${routerUrl}/readyz`);
    expect((await post(`${routerUrl}/v1/completions`, { model: 'm', prompt: 'a' })).status).toBe(404);
  });

  it('ends with exit code 2 without the name of its model', async () => {
    const ended = start(routerNode, router('--worker-urls', prefillUrl));
    expect(await ended.ended()).toBe(2);
    expect(ended.output).toContain('--model-id');
  });
});
