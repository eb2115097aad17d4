import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { engineWindow } from '../../../src/benchmarks/loadgen/figures/engine-window.ts';
import { until } from '../../support/bus.ts';

let server: Server;
let looks = 0;
/** What /metrics says, or null: it does not answer. */
let metrics: string | null;

beforeEach(async () => {
  looks = 0;
  server = createServer((_, response) => {
    looks++;
    if (metrics === null) response.writeHead(503).end();
    else response.end(metrics);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const engine = (process = 'agg-0-0') => ({
  ...{ process, host: '127.0.0.1', port: (server.address() as AddressInfo).port, path: '/metrics' },
  preemptions: ['vllm:num_preemptions_total'],
  kvCacheUsage: ['vllm:kv_cache_usage_perc'],
  queue: ['vllm:num_requests_waiting'],
  speculation: {
    steps: ['vllm:spec_decode_num_drafts_total'],
    tokens: ['vllm:spec_decode_num_accepted_tokens_total'],
    drafted: ['vllm:spec_decode_num_draft_tokens_total'],
    hasOwnToken: false,
  },
});
const open = (engines = [engine()]) => engineWindow(engines, new AbortController().signal);
const said = (over: Record<string, number>): string =>
  Object.entries({
    'vllm:num_preemptions_total{engine="0"}': 5,
    'vllm:kv_cache_usage_perc{engine="0"}': 0.2,
    'vllm:kv_cache_usage_perc{engine="1"}': 0.6,
    'vllm:num_requests_waiting{engine="0"}': 3,
    process_start_time_seconds: 1_000,
    ...over,
  })
    .map(([name, value]) => `${name} ${value}\n`)
    .join('');

describe('what the engines say of a window', () => {
  it('is what their counters grew by, and what their gauges were between', async () => {
    metrics = said({});
    const end = await open();
    await until('a look', () => looks >= 2);
    metrics = said({ 'vllm:num_preemptions_total{engine="0"}': 7 });
    expect(await end()).toMatchObject({
      preemptions: { value: 2 },
      kvCacheUsage: { mean: 0.4, max: 0.6 },
      queue: { mean: 3, max: 3 },
      acceptanceLength: { value: null, why: 'the engines count no step of speculative decoding' },
      restarted: [],
    });
  });

  it('has the acceptance of speculative decoding, with the token that the engine adds to each step', async () => {
    const counted = (steps: number, accepted: number, drafted: number) =>
      said({
        'vllm:spec_decode_num_drafts_total{engine="0"}': steps,
        'vllm:spec_decode_num_accepted_tokens_total{engine="0"}': accepted,
        'vllm:spec_decode_num_draft_tokens_total{engine="0"}': drafted,
      });
    metrics = counted(10, 10, 30);
    const end = await open();
    metrics = counted(110, 160, 330);
    expect(await end()).toMatchObject({ acceptanceLength: { value: 2.5 }, acceptanceRate: { value: 0.5 } });
  });

  it.each([
    ['began later', { process_start_time_seconds: 2_000 }],
    [
      'counts from the begin again',
      { 'vllm:num_preemptions_total{engine="0"}': 0, process_start_time_seconds: Number.NaN },
    ],
  ])('names an engine whose process %s', async (_, over) => {
    metrics =
      'process_start_time_seconds' in over && Number.isNaN(over.process_start_time_seconds)
        ? said(over)
        : said({});
    metrics = metrics.replace('"} 0', '"} 5');
    const end = await open();
    metrics = said(over);
    expect((await end()).restarted).toEqual(['agg-0-0']);
  });

  it('is unknown, with the reason, when an engine does not say it', async () => {
    metrics = 'vllm:other 1\n';
    const end = await open();
    await until('a look', () => looks >= 2);
    expect(await end()).toMatchObject({
      preemptions: { value: null, why: 'agg-0-0 does not say' },
      kvCacheUsage: { mean: null, why: 'agg-0-0 does not say' },
    });
    metrics = null;
    expect(await (await open())()).toMatchObject({ preemptions: { value: null }, queue: { mean: null } });
    expect(await (await open([]))()).toMatchObject({
      preemptions: { value: null, why: 'the engines do not say' },
    });
  });
});
