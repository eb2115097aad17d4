import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { policyOf } from '../../src/simulator/router/policy.ts';
import { until } from '../support/bus.ts';
import { destroyAll, engineArgv, healthy, metric, nodeAddress, post, start } from './stand-ins.ts';

const [node, routerNode] = [nodeAddress(8), nodeAddress(9)] as const;
const workerUrls = [`http://${node}:6100`, `http://${node}:6132`] as const;
const routerPort = await freePort(routerNode);
const routerUrl = `http://${routerNode}:${routerPort}`;
afterEach(destroyAll);

const routerArgv = (...options: string[]) => [
  ...['python', '-m', 'sglang_router.launch_router', '--worker-urls', ...workerUrls],
  ...['--host', '0.0.0.0', '--port', String(routerPort), '--worker-startup-check-interval', '1', ...options],
];

describe('the router in front of aggregated workers', () => {
  it('answers 503 before any worker is up, then adds workers as they become healthy', async () => {
    start(routerNode, routerArgv());
    await healthy(`${routerUrl}/health`);
    expect((await fetch(`${routerUrl}/readiness`)).status).toBe(503);
    expect((await post(`${routerUrl}/v1/completions`, { model: 'a/model', prompt: 'a' })).status).toBe(503);
    start(node, engineArgv(6100));
    await healthy(`${routerUrl}/readiness`);
    expect((await post(`${routerUrl}/v1/completions`, { model: 'a/model', prompt: 'a' })).status).toBe(200);
    expect(await (await fetch(`${routerUrl}/v1/models`)).json()).toMatchObject({ data: [{ id: 'a/model' }] });
  });

  it('sends requests to the workers in turn', async () => {
    for (const port of [6100, 6132]) start(node, engineArgv(port));
    start(routerNode, routerArgv('--policy', 'round_robin'));
    await until('two healthy workers', async () => {
      const answer = await fetch(`${routerUrl}/workers`).catch(() => undefined);
      return ((await answer?.text()) ?? '').match(/"is_healthy":true/g)?.length === 2;
    });
    for (let n = 0; n < 6; n++)
      await post(`${routerUrl}/v1/completions`, { model: 'a/model', prompt: 'a', max_tokens: 1 });
    for (const url of workerUrls) expect(await metric(url, 'sglang:num_requests_total')).toBe(3);
  });

  it('ends with exit code 1 when its port is in use', async () => {
    start(routerNode, routerArgv());
    await healthy(`${routerUrl}/health`);
    const second = start(routerNode, routerArgv());
    expect(await second.ended()).toBe(1);
    expect(second.output).toContain('address already in use');
  });
});

describe('a policy', () => {
  const targets = (...loads: number[]) =>
    loads.map((load, index) => ({ url: new URL(`http://w${index}`), load }));

  it.each(['cache_aware', 'kv'])('%s sends prompts with the same prefix to the same worker', (name) => {
    const policy = policyOf(name);
    const all = targets(0, 0, 0);
    const homes = ['a', 'b', 'c'].map((prefix) => policy(all, prefix));
    expect(new Set(homes).size).toBe(3);
    for (let n = 0; n < 3; n++) expect(['a', 'b', 'c'].map((prefix) => policy(all, prefix))).toEqual(homes);
  });

  it('cache_aware avoids a worker that is much busier than the others', () => {
    const policy = policyOf('cache_aware');
    const all = targets(0, 0);
    const home = policy(all, 'a');
    if (home) home.load = 20;
    const other = policy(all, 'a');
    expect(other).not.toBe(home);
    if (home) home.load = 0;
    expect(policy(all, 'a')).toBe(other);
  });

  it('cache_aware moves the prefixes of a lost worker to another one', () => {
    const policy = policyOf('cache_aware');
    const all = targets(0, 0);
    const home = policy(all, 'a');
    const rest = all.filter((target) => target !== home);
    expect(policy(rest, 'a')).toBe(rest[0]);
  });

  it('power_of_two never picks the busiest worker when it compares it with another', () => {
    const policy = policyOf('power_of_two');
    const picks = Array.from({ length: 200 }, () => policy(targets(0, 1), '')?.load);
    expect(picks.filter((load) => load === 0).length).toBeGreaterThan(100);
  });

  it.each(['random', 'round_robin', 'power_of_two', 'cache_aware', 'least_load', 'unheard_of', undefined])(
    '%s picks no worker when there is none',
    (name) => {
      expect(policyOf(name)([], 'a')).toBeUndefined();
    },
  );
});
