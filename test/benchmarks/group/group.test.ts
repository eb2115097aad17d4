import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runBenchmark } from '../../../src/benchmarks/loadgen/benchmark.ts';
import { loadgenConfigSchema } from '../../../src/benchmarks/loadgen/config.ts';
import { meetingSchema } from '../../../src/benchmarks/loadgen/group/messages.ts';
import { until } from '../../support/bus.ts';
import { crewOfThisThread } from '../../support/crew.ts';

let server: ChildProcess;
let url = '';
let directory = '';
beforeAll(async () => {
  const program = join(import.meta.dirname, '../../support/exact-server.mjs');
  server = spawn(process.execPath, [program, '--ttft', '5', '--itl', '2'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const [port] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  url = `http://127.0.0.1:${Number(port)}`;
});
afterAll(() => void server.kill('SIGKILL'));
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'group-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const NODES = ['a', 'b', 'c'];
const ANY = {
  send_lag_ms: false,
  loop_delay_ms: false,
  client_busy: false,
  client_frozen_ms: false,
} as const;

/** One of three clients in this process. */
function client(index: number, signal: AbortSignal, over: object = {}) {
  const own = index === 0 ? directory : join(directory, `client-${index}`);
  const config = loadgenConfigSchema.parse({
    ...{ v: 1, url, endpoint: '/v1/completions', model: null, mustList: false, modelPath: null },
    ...{ takesTokenIds: true, isl: 6, osl: 8, randomRangeRatio: 1, seed: 1, concurrencies: [4, 2] },
    ...{ requestRate: 'inf', promptsMultiplier: 5, warmupMultiplier: 1, requestTimeoutMs: 10_000 },
    validity: { ...ANY, slow_start: false, at_once: false, rate: false },
    ...{ resultDir: own, progressFile: join(own, 'progress.json') },
    group: { index, nodes: NODES, host: '127.0.0.1', meeting: join(directory, 'clients.json') },
    ...over,
  });
  return runBenchmark(config, signal, crewOfThisThread);
}
const all = (over: object = {}) =>
  Promise.all(NODES.map((_, index) => client(index, AbortSignal.timeout(60_000), over)));
const recordsOf = async (path: string): Promise<{ i: number; sent: number }[]> =>
  (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line) as { i: number; sent: number });

describe('clients that measure together', () => {
  it('send a share each, and make one result of all of their requests', async () => {
    const [first, ...others] = await all();
    expect(others).toEqual([[], []]);
    expect(first).toMatchObject([
      {
        concurrency: 4,
        requests: 20,
        completed: 20,
        outputTokens: 160,
        clients: 3,
        validity: { valid: true },
      },
      {
        concurrency: 2,
        requests: 10,
        completed: 10,
        outputTokens: 80,
        clients: 3,
        validity: { valid: true },
      },
    ]);
    expect(first?.[0]?.ttftMs.count).toBe(20);
    expect(first?.[0]?.itlMs.count).toBe(20 * 7);
    const files = [
      'requests_concurrency_4.jsonl',
      'client-1/requests_concurrency_4.jsonl',
      'client-2/requests_concurrency_4.jsonl',
    ];
    const records = await Promise.all(files.map((file) => recordsOf(join(directory, file))));
    expect(records.map(({ length }) => length)).toEqual([10, 5, 5]);
    // Numbers are those of one run, and times are on one clock.
    expect(new Set(records.flat().map(({ i }) => i)).size).toBe(20);
    expect(Math.min(...records.flat().map(({ sent }) => sent))).toBeGreaterThanOrEqual(-1);
    expect(JSON.parse(await readFile(join(directory, 'progress.json'), 'utf8'))).toMatchObject({
      ...{ stage: 'done', requestsDone: 10, requestsTotal: 10 },
    });
    expect(await readdir(directory)).not.toContain('clients.json');
  });

  it('share the arrivals of a rate', async () => {
    const [first] = await all({
      requestRate: 100,
      arrivals: 'constant',
      concurrencies: [30],
      promptsMultiplier: 1,
      warmupMultiplier: 0,
    });
    expect(first?.[0]).toMatchObject({ completed: 30, requestRate: 100 });
    expect(first?.[0]?.load?.drawnRate).toBeCloseTo(100, 0);
    const files = ['requests_concurrency_30.jsonl', 'client-1/requests_concurrency_30.jsonl'];
    const [own, other] = await Promise.all(files.map((file) => recordsOf(join(directory, file))));
    expect([own?.length, other?.length]).toEqual([10, 10]);
  });

  it('all end when one of them finds the run invalid', async () => {
    // The first answer that one of them gets is another length than asked.
    let asked = 0;
    const failing = createServer((request, response) => {
      request.resume();
      if (request.url === '/v1/models') return void response.end('{"data":[{"id":"served"}]}');
      asked++;
      if (asked > 20) return void response.writeHead(500).end();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const tokens = asked === 1 ? 4 : 8;
      const usage = `data: {"choices":[],"usage":{"prompt_tokens":6,"completion_tokens":${tokens}}}\n\n`;
      response.end(`${'data: {"choices":[{"text":"x"}]}\n\n'.repeat(tokens)}${usage}data: [DONE]\n\n`);
    }).listen(0, '127.0.0.1');
    await once(failing, 'listening');
    const { port } = failing.address() as AddressInfo;
    const [first] = await all({
      ...{ url: `http://127.0.0.1:${port}`, concurrencies: [3, 6], promptsMultiplier: 200 },
      stopWhenInvalid: true,
    });
    failing.close();
    expect(first).toMatchObject([{ concurrency: 3, partial: true, clients: 3, validity: { valid: false } }]);
    expect(first?.[0]?.requests).toBeLessThan(600);
  });

  it('fail together when one is lost, with its name', async () => {
    const gone = new AbortController();
    const slow = { osl: 4_000 };
    const signal = AbortSignal.timeout(60_000);
    const ends = Promise.allSettled([
      client(0, signal, slow),
      client(1, signal, slow),
      client(2, gone.signal, slow),
    ]);
    await until('measuring', async () =>
      /measure|warmup/.test(
        await readFile(join(directory, 'client-2/progress.json'), 'utf8').catch(() => ''),
      ),
    );
    gone.abort(new Error('killed'));
    const [first, second] = await ends;
    expect(first).toMatchObject({
      status: 'rejected',
      reason: { message: expect.stringMatching(/client 3 of 3, on c, was lost/) },
    });
    expect(second).toMatchObject({
      status: 'rejected',
      reason: { message: expect.stringMatching(/first client, on a, was lost/) },
    });
  });

  it('let no connection in without the token', async () => {
    const stop = new AbortController();
    const first = client(0, stop.signal);
    const file = join(directory, 'clients.json');
    await until('the meeting', async () => (await readdir(directory)).includes('clients.json'));
    const { host, port } = meetingSchema.parse(JSON.parse(await readFile(file, 'utf8')));
    const socket = connect({ host, port });
    socket.on('error', () => undefined);
    socket.write(`${JSON.stringify({ kind: 'hello', token: 'aa'.repeat(32), index: 1 })}\n`);
    await once(socket, 'close');
    stop.abort(new Error('over'));
    await expect(first).rejects.toThrow('over');
    await writeFile(file, '');
  });
});
