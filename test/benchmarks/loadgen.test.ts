import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LoadgenConfig, resultFileOf } from '../../src/benchmarks/loadgen/config.ts';
import { saBench, whyNotValid } from '../../src/benchmarks/sa-bench.ts';
import {
  benchmarkProgressSchema,
  type ServingResult,
  servingResultSchema,
} from '../../src/messages/result.ts';
import { until } from '../support/bus.ts';

let dir: string;
let server: Server;
let answer: (body: Record<string, unknown>, response: ServerResponse) => void;
const bodies: Record<string, unknown>[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  bodies.length = 0;
  server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(dir, { recursive: true, force: true });
});

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/v1/models') {
    response.end(JSON.stringify({ data: [{ id: 'served' }] }));
    return;
  }
  let text = '';
  for await (const chunk of request) text += chunk;
  const body = JSON.parse(text) as Record<string, unknown>;
  bodies.push(body);
  answer(body, response);
}

const chunk = (content: object): string => `data: ${JSON.stringify(content)}\n\n`;
/** Streams max_tokens tokens, `size` a chunk. */
function stream(body: Record<string, unknown>, response: ServerResponse, size = 1): void {
  const count = Number(body.max_tokens);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let sent = 0; sent < count; sent += size)
    response.write(chunk({ choices: [{ text: 'x'.repeat(size) }] }));
  response.write(
    chunk({
      choices: [],
      usage: { prompt_tokens: (body.prompt as number[]).length, completion_tokens: count },
    }),
  );
  response.end('data: [DONE]\n\n');
}

async function run(over: Partial<LoadgenConfig> = {}) {
  const { port } = server.address() as AddressInfo;
  const config: LoadgenConfig = {
    v: 1,
    url: `http://127.0.0.1:${port}`,
    endpoint: '/v1/completions',
    model: null,
    isl: 20,
    osl: 10,
    randomRangeRatio: 0.5,
    concurrencies: [1, 3],
    requestRate: 'inf',
    promptsMultiplier: 4,
    warmupMultiplier: 1,
    prompts: 'tokens',
    seed: 1,
    requestTimeoutMs: 10_000,
    resultDir: dir,
    progressFile: join(dir, 'progress.json'),
    ...over,
  };
  const file = join(dir, 'loadgen.json');
  await writeFile(file, JSON.stringify(config));
  const child = spawn(process.execPath, ['dist/loadgen.js', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    output += data;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, ended, output: () => output };
}
const resultOf = async (concurrency: number): Promise<ServingResult> =>
  servingResultSchema.parse(JSON.parse(await readFile(join(dir, resultFileOf(concurrency)), 'utf8')));
const read = () => saBench.readResult({ type: 'sa-bench', process: null, resultDir: dir });

describe('the load generator', () => {
  it('counts exactly what the server sent, and leaves one file for each concurrency', async () => {
    answer = stream;
    const { ended, output } = await run();
    expect(await ended, output()).toBe(0);
    const result = await resultOf(3);
    const measured = bodies.slice(-12);
    expect(result).toMatchObject({ requests: 12, completed: 12, failed: 0, errors: [], isl: 20, osl: 10 });
    expect(result.outputTokens).toBe(measured.reduce((sum, body) => sum + Number(body.max_tokens), 0));
    expect(result.inputTokens).toBe(
      measured.reduce((sum, body) => sum + (body.prompt as number[]).length, 0),
    );
    expect(await read()).toMatchObject({ valid: true, serving: [{ concurrency: 1 }, { concurrency: 3 }] });
    expect(bodies[0]).toMatchObject({
      model: 'served',
      stream: true,
      ignore_eos: true,
      stream_options: { include_usage: true },
    });
    expect(
      benchmarkProgressSchema.parse(JSON.parse(await readFile(join(dir, 'progress.json'), 'utf8'))),
    ).toMatchObject({
      stage: 'measure',
      concurrency: 3,
      step: 2,
      requestsDone: 12,
    });
  });

  it('has no more requests in flight than the concurrency, and as many', async () => {
    let inFlight = 0;
    let most = 0;
    answer = (body, response) => {
      most = Math.max(most, ++inFlight);
      response.once('close', () => inFlight--);
      setTimeout(() => stream(body, response), 20);
    };
    const { ended } = await run({ concurrencies: [5] });
    expect(await ended).toBe(0);
    expect(most).toBe(5);
  });

  it('measures from the bytes: the first token is not earlier than it was sent, chunks of several tokens count by usage', async () => {
    answer = (body, response) => setTimeout(() => stream(body, response, 5), 60);
    const { ended } = await run({ concurrencies: [1], osl: 10, randomRangeRatio: 1 });
    expect(await ended).toBe(0);
    const { ttftMs, e2elMs, outputTokens } = await resultOf(1);
    expect(ttftMs.min).toBeGreaterThanOrEqual(59);
    expect(e2elMs.min).toBeGreaterThanOrEqual(ttftMs.min);
    expect(outputTokens).toBe(40);
  });

  it.each<[string, (body: Record<string, unknown>, response: ServerResponse) => void, RegExp]>([
    ['an HTTP error', (_, response) => response.writeHead(503).end('no workers'), /HTTP 503: no workers/],
    [
      'a stream that breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(chunk({ choices: [{ text: 'x' }] }), () => response.destroy());
      },
      /terminated|other side closed|ECONNRESET|aborted/,
    ],
    [
      'an answer without a token',
      (_, response) =>
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: [DONE]\n\n'),
      /no token/,
    ],
    [
      'a stream that ends without a word',
      (_, response) => response.writeHead(200).end(chunk({ choices: [{ text: 'x' }] })),
      /without \[DONE\]/,
    ],
  ])('counts %s as a failed request, and the result is not valid', async (_, behave, message) => {
    let count = 0;
    answer = (body, response) => (++count % 3 === 0 ? behave(body, response) : stream(body, response));
    const { ended } = await run({ concurrencies: [2], warmupMultiplier: 0 });
    expect(await ended).toBe(0);
    const result = await resultOf(2);
    expect(result.failed).toBeGreaterThan(0);
    expect(result.completed + result.failed).toBe(8);
    expect(result.errors.join()).toMatch(message);
    const read_ = await read();
    expect(read_.valid).toBe(false);
    expect(read_.reason).toMatch(/requests failed at concurrency 2/);
  });

  it('stops on SIGTERM and leaves no half result', async () => {
    answer = () => {};
    const { child, ended } = await run();
    await until('a request', () => bodies.length > 0);
    child.kill('SIGTERM');
    expect(await ended).toBe(1);
    expect((await readdir(dir)).filter((name) => name.startsWith('results'))).toEqual([]);
    expect(await read()).toMatchObject({
      valid: false,
      reason: expect.stringContaining('no result for concurrency 1'),
    });
  });

  it('ends with a sentence when the frontend is not there', async () => {
    const { ended, output } = await run({ url: 'http://127.0.0.1:1' });
    expect(await ended).toBe(1);
    expect(output()).toMatch(/^loadgen: .+/);
  });
});

it('a result without tokens, or without a concurrency, is not valid', () => {
  const good = {
    concurrency: 1,
    failed: 0,
    completed: 2,
    outputTokens: 5,
    requests: 2,
    errors: [],
  } as unknown as ServingResult;
  expect(whyNotValid([1], [good])).toBeUndefined();
  expect(whyNotValid([1, 2], [good])).toMatch(/no result for concurrency 2/);
  expect(whyNotValid([1], [{ ...good, outputTokens: 0 }])).toMatch(/not one output token/);
  expect(whyNotValid([1], [{ ...good, completed: 0 }])).toMatch(/no request was completed/);
});
