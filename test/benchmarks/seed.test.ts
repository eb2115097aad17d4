import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { mixed, seedOf } from '../../src/benchmarks/common/seed.ts';
import { loadgenConfigSchema } from '../../src/benchmarks/loadgen/config.ts';
import { cacheWindow } from '../../src/benchmarks/loadgen/figures/caches.ts';
import { ofAttempt } from '../../src/coordinator/sweep/attempt.ts';
import { pointOf, pointsOf } from '../support/plan.ts';

const recipe = (more = '') => `name: x
model: { path: m, container: c, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 2, gpus_per_agg: 4 }
frontend: { type: sglang, enable_multiple_frontends: false }
backend: { type: sglang, sglang_config: { aggregated: { tensor-parallel-size: 4, enable-metrics: true } } }
benchmark: { type: sa-bench, isl: 1, osl: 1, concurrencies: "1"${more} }
sweep: { osl: [8, 16] }
`;
const configOf = (ordinal: number, more = ', osl: "{osl}"') => {
  const { process } = pointsOf(recipe(more).replace('osl: 1, ', ''))[ordinal]?.benchmark ?? {};
  return loadgenConfigSchema.parse(JSON.parse(process?.files?.[0]?.content ?? ''));
};

describe('seeds', () => {
  it('differ for each point and each attempt, and are the same when a recipe is run again', () => {
    const [first, second] = [configOf(0), configOf(1)];
    const seeds = [first, second].flatMap((config) =>
      ['1', '2', '3'].map((attempt) => seedOf(config, attempt)),
    );
    expect(new Set(seeds).size).toBe(6);
    expect(configOf(1)).toEqual(second);
    expect(seedOf(first, undefined)).toBe(seedOf(first, '1'));
  });

  it('are those of the recipe, for every point and attempt', () => {
    const [first, second] = [0, 1].map((ordinal) => configOf(ordinal, ', osl: "{osl}", seed: 77'));
    expect([first, second].map((config) => config && seedOf(config, '2'))).toEqual([77, 77]);
  });

  it('that are close together give numbers that are not', () => {
    const all = Array.from({ length: 3_000 }, (_, index) => mixed(Math.floor(index / 100), index % 100, 0));
    expect(new Set(all).size).toBe(all.length);
    expect(Math.abs(mixed(0, 0, 0) - mixed(0, 0, 1))).toBeGreaterThan(1_000);
  });
});

it('a point that is tried again gives its benchmark the number of the attempt, and is the same otherwise', () => {
  const point = pointOf(recipe());
  expect(ofAttempt(point, 1)).toBe(point);
  const again = ofAttempt(point, 2);
  expect(again.benchmark.process?.env).toMatchObject({ SRTCTL_ATTEMPT: '2' });
  expect(again.processes.find(({ id }) => id === 'benchmark')).toBe(again.benchmark.process);
  expect(again.processes.filter(({ id }) => id !== 'benchmark')).toEqual(
    point.processes.filter(({ id }) => id !== 'benchmark'),
  );
});

describe('cache hits of a measurement', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const signal = new AbortController().signal;
  async function engine(process: string, figures: () => string) {
    const server = createServer((_, response) => response.end(figures()));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return { process, host: '127.0.0.1', port, path: '/metrics', hits: ['hits'], prompts: ['prompts'] };
  }

  it('are the counts of the engines from its begin to its end, over all of them', async () => {
    let [hits, prompts] = [500, 1_000];
    const a = await engine(
      'a',
      () => `hits{source="device"} ${hits}\nhits{source="host"} 1\nprompts ${prompts}\n`,
    );
    // Without a hit there is no such line.
    const b = await engine('b', () => `prompts ${prompts}\n`);
    const end = await cacheWindow([a, b], signal);
    [hits, prompts] = [550, 1_200];
    expect(await end()).toEqual({ hitTokens: 50, promptTokens: 400, share: 0.125 });
  });

  it('are unknown, with the reason, when an engine does not report them', async () => {
    const a = await engine('agg-1-0', () => 'prompts 1\n');
    const end = await cacheWindow([a], signal);
    servers.splice(0).map((server) => server.close());
    expect(await end()).toMatchObject({ hitTokens: null, why: 'agg-1-0 does not say' });
    expect(await (await cacheWindow([], signal))()).toMatchObject({ share: null });
  });

  it('are read at each leader with figures', () => {
    const config = configOf(0);
    expect(config.caches.map(({ process }) => process)).toEqual(['agg-0-0', 'agg-1-0']);
    expect(config.caches[0]).toMatchObject({ path: '/metrics', hits: ['sglang:cached_tokens_total'] });
  });
});
