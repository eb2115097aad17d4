import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runBenchmark } from '../../../src/benchmarks/loadgen/benchmark.ts';
import { loadgenConfigSchema } from '../../../src/benchmarks/loadgen/config.ts';
import { reasonsOf } from '../../../src/benchmarks/loadgen/figures/why-not-valid.ts';
import { crewOfThisThread } from '../../support/crew.ts';
import { complete, ODD_SERVERS, type OddServer } from '../../support/odd-servers.ts';

const [MODEL, OSL, CONCURRENCY] = ['served', 16, 10];
/** The load generator sends this many tokens in its first request, which nothing counts. */
const PROBE_TOKENS = 4;

let dir: string;
let server: Server;
let answered = 0;
/** Which of the measured requests are answered oddly. */
let isOdd: (number: number) => boolean;
let odd: OddServer;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  answered = 0;
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  vi.restoreAllMocks();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(dir, { recursive: true, force: true });
});

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/v1/models') {
    response.end(JSON.stringify({ data: [{ id: MODEL }] }));
    return;
  }
  let body = '';
  for await (const piece of request) body += piece;
  const { max_tokens: output, prompt, model } = JSON.parse(body);
  const asked = { output, prompt: Array.isArray(prompt) ? prompt.length : 0, model };
  if (output !== PROBE_TOKENS && isOdd(answered++)) odd.answer(response, asked);
  else complete(response, asked);
}

async function run(one: OddServer, requests: number, isl: number) {
  odd = one;
  const { port } = server.address() as AddressInfo;
  const chat = one.chat ?? false;
  const config = loadgenConfigSchema.parse({
    v: 1,
    url: `http://127.0.0.1:${port}`,
    endpoint: chat ? '/v1/chat/completions' : '/v1/completions',
    ...{ model: MODEL, mustList: true, modelPath: null },
    ...{ isl, osl: OSL, randomRangeRatio: 1 },
    ...{ concurrencies: [CONCURRENCY], requestRate: 'inf' },
    ...{ promptsMultiplier: requests / CONCURRENCY, warmupMultiplier: 0 },
    takesTokenIds: !chat,
    seed: 1,
    // Other tests run beside it, and these servers answer without any delay.
    validity: {
      at_once: false,
      client_busy: false,
      loop_delay_ms: false,
      slow_start: false,
      client_frozen_ms: false,
    },
    place: 'node',
    requestTimeoutMs: one.name === 'never ends' ? 300 : 60_000,
    resultDir: dir,
    progressFile: join(dir, 'progress.json'),
  });
  const results = await runBenchmark(config, new AbortController().signal, crewOfThisThread);
  const [result] = results;
  if (!result) throw new Error('there is no result');
  return { result, reasons: reasonsOf([CONCURRENCY], results).map(({ what }) => what) };
}

describe('a server that', () => {
  it.each(ODD_SERVERS.map((one) => [one.name, one] as const))('%s, always', async (_, one) => {
    isOdd = () => true;
    const { result, reasons } = await run(one, 20, 40);
    if (one.verdict !== null) {
      expect(reasons).toContain(one.verdict);
      return;
    }
    expect({ reasons, errors: result.errors }).toEqual({ reasons: [], errors: [] });
    expect(result).toMatchObject({ completed: 20, outputTokens: 20 * OSL, failed: 0 });
  });

  it.each(ODD_SERVERS.map((one) => [one.name, one] as const))(
    '%s, once in a hundred times',
    async (_, one) => {
      isOdd = (number) => number === 50;
      const { verdict, amongGood = verdict } = one;
      const { result, reasons } = await run(one, 100, 200);
      if (amongGood === null) {
        expect({ reasons, errors: result.errors }).toEqual({ reasons: [], errors: [] });
        expect(result).toMatchObject({ completed: 100, outputTokens: 100 * OSL });
        return;
      }
      expect(reasons).toContain(amongGood);
      if (amongGood === 'max_failed') expect(result).toMatchObject({ completed: 99, failed: 1 });
    },
  );

  it('of them there are at least sixty', () => {
    expect(ODD_SERVERS.length).toBeGreaterThanOrEqual(60);
    expect(new Set(ODD_SERVERS.map(({ name }) => name)).size).toBe(ODD_SERVERS.length);
  });
});
