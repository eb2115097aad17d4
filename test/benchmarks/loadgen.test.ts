import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LoadgenConfig, resultFileOf } from '../../src/benchmarks/loadgen/config.ts';
import { whyNotValid } from '../../src/benchmarks/loadgen/figures/why-not-valid.ts';
import { readTokenizer } from '../../src/benchmarks/loadgen/workload/tokenizer.ts';
import { saBench } from '../../src/benchmarks/sa-bench.ts';
import { benchmarkProgressSchema } from '../../src/messages/job-directory/result.ts';
import { type ServingResult, servingResultSchema } from '../../src/messages/job-directory/serving-result.ts';
import { until } from '../support/bus.ts';
import { CHAT_TEMPLATE, TOKENIZERS } from '../support/tokenizers.ts';

let dir: string;
let server: Server;
type Answering = (body: Record<string, unknown>, response: ServerResponse) => void;
let answer: Answering;
/** Answers the first request, which is not in `bodies`. */
let answerProbe: Answering;
let probes = 0;
let listed: string[] = [];
/** The answer of /v1/models instead of the list. */
let models: ((response: ServerResponse) => void) | undefined;
const bodies: Record<string, unknown>[] = [];
let running: ChildProcess | undefined;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  bodies.length = 0;
  probes = 0;
  listed = ['served', 'mine'];
  models = undefined;
  answerProbe = stream;
  server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  running?.kill('SIGKILL');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(dir, { recursive: true, force: true });
});

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/v1/models') {
    if (models) return models(response);
    response.end(JSON.stringify({ data: listed.map((id) => ({ id })) }));
    return;
  }
  let text = '';
  for await (const chunk of request) text += chunk;
  const body = JSON.parse(text) as Record<string, unknown>;
  if (bodies.length === 0 && body.max_tokens === PROBE_TOKENS) {
    probes++;
    return answerProbe(body, response);
  }
  bodies.push(body);
  answer(body, response);
}

/** No other request here asks for so few tokens. */
const PROBE_TOKENS = 4;

const chunk = (content: object): string => `data: ${JSON.stringify(content)}\n\n`;
/** Streams max_tokens tokens, `size` in each chunk. */
function stream(body: Record<string, unknown>, response: ServerResponse, size = 1): void {
  const count = Number(body.max_tokens);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let sent = 0; sent < count; sent += size)
    response.write(chunk({ choices: [{ text: 'x'.repeat(size) }] }));
  response.write(
    chunk({
      choices: [],
      usage: { prompt_tokens: (body.prompt as number[] | undefined)?.length ?? 1, completion_tokens: count },
    }),
  );
  response.end('data: [DONE]\n\n');
}

/** @param openFiles limit for the load generator */
async function run(over: Partial<LoadgenConfig> = {}, openFiles?: number) {
  const { port } = server.address() as AddressInfo;
  const config: LoadgenConfig = {
    v: 1,
    url: `http://127.0.0.1:${port}`,
    endpoint: '/v1/completions',
    client: null,
    group: null,
    model: null,
    mustList: false,
    modelPath: null,
    tokenizer: null,
    useChatTemplate: null,
    takesTokenIds: true,
    dataset: { name: 'random' },
    isl: 20,
    osl: 10,
    sharedPrefixRatio: 0,
    randomRangeRatio: 0.5,
    concurrencies: [1, 3],
    requestRate: 'inf',
    arrivals: 'poisson',
    burstiness: 1,
    rampUpS: 0,
    durationS: null,
    promptsMultiplier: 4,
    warmupMultiplier: 1,
    seed: 1,
    isSeedFixed: false,
    caches: [],
    engines: [],
    gpus: null,
    slo: {},
    // The server here answers at once, and other tests run beside it.
    validity: { at_once: false, client_busy: false, loop_delay_ms: false, send_lag_ms: false },
    place: 'node',
    recordsMiB: 1,
    reuseConnections: false,
    clientThreads: null,
    apiKeyEnv: null,
    headers: {},
    extraBody: {},
    caFile: null,
    requestTimeoutMs: 60_000,
    stopWhenInvalid: false,
    resultDir: dir,
    progressFile: join(dir, 'progress.json'),
    ...over,
  };
  const file = join(dir, 'loadgen.json');
  await writeFile(file, JSON.stringify(config));
  const argv = [process.execPath, 'dist/loadgen.js', '--config', file];
  const limit = openFiles === undefined ? '' : `ulimit -n ${openFiles}; `;
  const child = spawn('/bin/sh', ['-c', `${limit}exec "$@"`, 'sh', ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running = child;
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
      stage: 'done',
      concurrency: 3,
      step: 2,
      requestsDone: 12,
    });
  });

  it('keeps exactly as many requests in flight as the concurrency', async () => {
    let inFlight = 0;
    let most = 0;
    let waiting: (() => void)[] = [];
    answer = (body, response) => {
      most = Math.max(most, ++inFlight);
      response.once('close', () => inFlight--);
      waiting.push(() => stream(body, response));
      // Each round waits until it is complete, and a while longer for one request too many.
      if (waiting.length < 5) return;
      const round = waiting;
      waiting = [];
      setTimeout(() => {
        for (const go of round) go();
      }, 20);
    };
    const { ended } = await run({ concurrencies: [5] });
    expect(await ended).toBe(0);
    expect(most).toBe(5);
  });

  it('measures bytes: the first token is not earlier than it was sent, and chunks of several tokens count by usage', async () => {
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
      /closed the connection in the middle of the answer|ECONNRESET: the server reset the connection in/,
    ],
    [
      'an answer without a token',
      (_, response) =>
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: [DONE]\n\n'),
      /no token/,
    ],
    [
      'an answer that is shorter than it was asked for',
      (body, response) => stream({ ...body, max_tokens: 1 }, response),
      /only 1 of the \d+ requested output tokens/,
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

  it('ends at the first measured request that fails, with its text, because the result cannot become valid', async () => {
    let count = 0;
    // Two requests of the second concurrency are answered, the third fails, and the others in flight never end.
    answer = (body, response) => {
      count++;
      if (count === 7) response.writeHead(503).end('no workers');
      else if (count < 7) stream(body, response);
    };
    const { ended, output } = await run({
      concurrencies: [1, 2, 4],
      warmupMultiplier: 0,
      stopWhenInvalid: true,
    });
    expect(await ended, output()).toBe(0);
    expect(output()).toContain('stopped, because a request failed at concurrency 2: HTTP 503: no workers');
    expect((await resultOf(1)).partial).toBeUndefined();
    expect(await resultOf(2)).toMatchObject({ partial: true, failed: 1, errors: ['HTTP 503: no workers'] });
    expect(count).toBeLessThan(10);
    expect(await read()).toMatchObject({
      valid: false,
      reason:
        'a request failed at concurrency 2, which ended the benchmark (stop_when_invalid): HTTP 503: no workers',
      serving: [{ concurrency: 1, completed: 4 }, { concurrency: 2 }],
    });
  });

  it('goes on after a failed request of the warm-up, because no figure counts it', async () => {
    answer = (body, response) =>
      bodies.length === 1 ? response.writeHead(503).end('not yet') : stream(body, response);
    const { ended, output } = await run({ concurrencies: [2], stopWhenInvalid: true });
    expect(await ended, output()).toBe(0);
    expect(await read()).toMatchObject({ valid: true });
  });

  it('sends one request before the warm-up, and reports at once the error of a deployment that refuses all', async () => {
    answer = stream;
    answerProbe = (_, response) =>
      response.writeHead(422).end('Failed to deserialize the JSON body: prompt: data did not match');
    const { ended, output } = await run();
    expect(await ended).toBe(1);
    expect(output()).toMatch(
      /loadgen: the first request failed, so none was measured: POST \/v1\/completions: HTTP 422: Failed to deserialize the JSON body: prompt: data did not match\n$/,
    );
    expect({ probes, sent: bodies.length }).toEqual({ probes: 1, sent: 0 });
  });

  it('repeats that request when the error is temporary, and does not count it', async () => {
    answer = stream;
    answerProbe = (body, response) =>
      probes === 1 ? response.writeHead(503).end('worker is not there yet') : stream(body, response);
    const { ended, output } = await run({ concurrencies: [2], warmupMultiplier: 0 });
    expect(await ended).toBe(0);
    expect({ probes, sent: bodies.length }).toEqual({ probes: 2, sent: 8 });
    expect(output()).toContain('the first request failed, and is tried again for 30 s: HTTP 503');
    expect(await resultOf(2)).toMatchObject({ requests: 8, failed: 0 });
  });

  it('requests the planned model, and refuses a server that does not list it', async () => {
    answer = stream;
    expect(await (await run({ concurrencies: [1], model: 'mine' })).ended).toBe(0);
    expect(bodies[0]).toMatchObject({ model: 'mine' });
    bodies.length = 0;
    const { ended, output } = await run({ model: 'other/model' });
    expect(await ended).toBe(1);
    expect(output()).toMatch(
      /\/v1\/models does not list the model of this deployment, "other\/model", but served, mine: another server may listen there/,
    );
    expect(bodies).toEqual([]);
  });

  it('uses the only listed model when none is named', async () => {
    answer = stream;
    listed = ['served'];
    const over = { concurrencies: [1], model: 'directory', mustList: false };
    const { ended, output } = await run(over);
    expect(await ended).toBe(0);
    expect(bodies[0]).toMatchObject({ model: 'served' });
    expect(output()).toContain('lists "served" in place of "directory"');
    listed = ['served', 'mine'];
    expect(await (await run(over)).ended).toBe(1);
  });

  it.each([
    ['bare names, as sglang-router 0.2.3 does', '{"models":["mine"]}', 200, ''],
    [
      'the last part of its path, as sglang-router 0.2.0 does',
      '{"models":["m"]}',
      200,
      'lists "m" in place of "mine"',
    ],
    ['an error, as smg 1.2.0 does with dp-aware', '{"error":{}}', 500, 'HTTP 500: requests are for "mine"'],
  ])('requests the planned model behind a router that answers %s', async (_, body, status, warning) => {
    answer = stream;
    models = (response) => void response.writeHead(status).end(body);
    const { ended, output } = await run({ concurrencies: [1], model: 'mine' });
    expect(await ended, output()).toBe(0);
    expect(bodies[0]).toMatchObject({ model: 'mine' });
    expect(output()).toContain(warning);
  });

  it('makes prompts of ids that the model has and that are not special', async () => {
    await writeFile(join(dir, 'config.json'), JSON.stringify({ vocab_size: 512, eos_token_id: [200, 201] }));
    answer = stream;
    const { ended } = await run({ isl: 500, modelPath: dir, concurrencies: [2] });
    expect(await ended).toBe(0);
    const ids = new Set(bodies.flatMap(({ prompt }) => prompt as number[]));
    expect(Math.min(...ids)).toBeGreaterThanOrEqual(128);
    expect(Math.max(...ids)).toBeLessThan(512);
    expect(ids.has(200) || ids.has(201)).toBe(false);
  });

  it('sends text of exact lengths by the tokenizer of the model, and the result says what was sent', async () => {
    await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(TOKENIZERS['byte-level BPE']?.()));
    await writeFile(join(dir, 'tokenizer_config.json'), JSON.stringify({ chat_template: CHAT_TEMPLATE }));
    const tokenizer = await readTokenizer(dir);
    // An engine that begins each prompt with a token of its own.
    const counted = (body: Record<string, unknown>) => 1 + (tokenizer?.count(String(body.prompt)) ?? 0);
    answer = (body, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const usage = { prompt_tokens: counted(body), completion_tokens: Number(body.max_tokens) };
      for (let sent = 0; sent < usage.completion_tokens; sent++)
        response.write(chunk({ choices: [{ text: 'x' }] }));
      response.end(`${chunk({ choices: [], usage })}data: [DONE]\n\n`);
    };
    answerProbe = answer;
    const over = { modelPath: dir, isl: 60, concurrencies: [2], randomRangeRatio: 1 };
    const { ended, output } = await run(over);
    expect(await ended, output()).toBe(0);
    for (const body of bodies) {
      expect(body.prompt).toMatch(/^<\|im_start\|>user\n/);
      expect(counted(body)).toBe(60);
    }
    const { workload, load } = await resultOf(2);
    expect(workload).toEqual({
      ...{ dataset: 'random', prompts: 'text', tokenizer: dir, chatTemplate: 'client', addedTokens: 1 },
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(load).toMatchObject({ shape: 'closed loop', askedRate: null });
    expect(output()).toContain('text of exact lengths by its tokenizer; chat template: in each prompt');
  });

  it('sends for a time in place of a number, and then says how much that was', async () => {
    answer = stream;
    const { ended, output } = await run({ concurrencies: [2], durationS: 0.5, warmupMultiplier: 0 });
    expect(await ended, output()).toBe(0);
    const { requests, completed, load } = await resultOf(2);
    expect(requests).toBe(bodies.length);
    expect(completed).toBe(requests);
    expect(load?.sentRate).toBeGreaterThan(0);
  });

  it('ends before the first request when its file of prompts is missing', async () => {
    const dataset = { name: 'custom' as const, path: join(dir, 'none.jsonl') };
    const { ended, output } = await run({ dataset });
    expect(await ended).toBe(1);
    expect(output()).toBe(`loadgen: benchmark.dataset_path: ${dataset.path}: there is no such file\n`);
    expect([bodies.length, probes]).toEqual([0, 0]);
  });

  it('counts tokens that decode to nothing', async () => {
    answer = (body, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let sent = 0; sent < Number(body.max_tokens); sent++)
        response.write(chunk({ choices: [{ text: '', finish_reason: null }] }));
      response.write(chunk({ choices: [{ text: '', finish_reason: 'length' }] }));
      response.write(chunk({ choices: [], usage: { prompt_tokens: 20, completion_tokens: 10 } }));
      response.end('data: [DONE]\n\n');
    };
    const { ended } = await run({ concurrencies: [1], randomRangeRatio: 1, warmupMultiplier: 0 });
    expect(await ended).toBe(0);
    expect(await resultOf(1)).toMatchObject({ failed: 0, completed: 4, outputTokens: 40 });
    expect(await read()).toMatchObject({ valid: true });
  });

  it('stops on SIGTERM and leaves no half result', async () => {
    answer = () => {};
    const { child, ended, output } = await run();
    await until('a request', () => bodies.length > 0);
    child.kill('SIGTERM');
    expect(await ended).toBe(1);
    expect(output()).toContain('loadgen: stopped by SIGTERM\n');
    expect((await readdir(dir)).filter((name) => name.startsWith('results'))).toEqual([]);
    expect(await read()).toMatchObject({
      valid: false,
      reason: expect.stringContaining('no result for concurrency 1'),
    });
  });

  it('ends with a sentence when the frontend cannot be reached', async () => {
    const { ended, output } = await run({ url: 'http://127.0.0.1:1' });
    expect(await ended).toBe(1);
    expect(output()).toMatch(/^loadgen: http:\/\/127.0.0.1:1\/v1\/models: .*(ECONNREFUSED|bad port).*\n$/);
  });

  it('ends with one line about the error in its config', async () => {
    const { ended, output } = await run({ concurrencies: [0] });
    expect(await ended).toBe(1);
    expect(output()).toMatch(/^loadgen: .*loadgen\.json: concurrencies\.0: .+\n$/);
  });

  it('gives up a request that does not end, and counts it as failed', async () => {
    answer = (body, response) => {
      if (bodies.length > 1) stream(body, response);
    };
    const { ended } = await run({ concurrencies: [1], warmupMultiplier: 0, requestTimeoutMs: 3_000 });
    expect(await ended).toBe(0);
    expect(await resultOf(1)).toMatchObject({ failed: 1, completed: 3, errors: ['no end after 3 s'] });
  });

  it('sends words through the chat endpoint, and counts the tokens of reasoning too', async () => {
    answer = (body, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk({ choices: [{ delta: { role: 'assistant', content: '' } }] }));
      response.write(chunk({ choices: [{ delta: { reasoning_content: 'hm' } }] }));
      for (let sent = 1; sent < Number(body.max_tokens); sent++)
        response.write(chunk({ choices: [{ delta: { content: 'x' } }], usage: null }));
      response.end('data: [DONE]\n\n');
    };
    const over = { concurrencies: [2], warmupMultiplier: 0, model: 'mine' };
    const { ended } = await run({ ...over, endpoint: '/v1/chat/completions', randomRangeRatio: 1 });
    expect(await ended).toBe(0);
    expect(bodies[0]).toMatchObject({ model: 'mine', messages: [{ role: 'user' }] });
    // Without usage, a token is a chunk with text, and an input token is a requested one.
    expect(await resultOf(2)).toMatchObject({ completed: 8, outputTokens: 80, inputTokens: 160 });
  });

  it('reads chunks that are cut anywhere, even inside of a character', async () => {
    answer = (body, response) => {
      const whole: Buffer[] = [];
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let sent = 0; sent < Number(body.max_tokens); sent++)
        whole.push(Buffer.from(chunk({ choices: [{ text: '語é' }] })));
      const bytes = Buffer.concat([...whole, Buffer.from('data: [DONE]\n\n')]);
      const send = (at: number): void => {
        if (at >= bytes.length) response.end();
        else response.write(bytes.subarray(at, at + 31), () => send(at + 31));
      };
      send(0);
    };
    const { ended } = await run({ concurrencies: [1], warmupMultiplier: 0, randomRangeRatio: 1 });
    expect(await ended).toBe(0);
    expect(await resultOf(1)).toMatchObject({ failed: 0, outputTokens: 40 });
  });

  it('spreads arrivals at the requested rate', async () => {
    answer = stream;
    const over = { concurrencies: [50], warmupMultiplier: 0, promptsMultiplier: 1 };
    const { ended } = await run({ ...over, requestRate: 100 });
    expect(await ended).toBe(0);
    const { requestRate, durationS, completed } = await resultOf(50);
    expect({ requestRate, completed }).toEqual({ requestRate: 100, completed: 50 });
    // 50 arrivals at 100/s take half a second on the average. A busy machine cannot make it much less.
    expect(durationS).toBeGreaterThan(0.2);
  });

  it('drives a thousand streams at once', async () => {
    let inFlight = 0;
    const waiting: (() => void)[] = [];
    answer = (body, response) => {
      waiting.push(() => stream(body, response));
      if (++inFlight === 1_000) for (const go of waiting) go();
    };
    const over = { concurrencies: [1_000], warmupMultiplier: 0, promptsMultiplier: 1 };
    const { ended, output } = await run(over);
    expect(await ended, output()).toBe(0);
    expect(await resultOf(1_000)).toMatchObject({ completed: 1_000, failed: 0 });
  });

  it.each([1, 3])('measures with %s threads, whose requests make one result', async (clientThreads) => {
    const models = new Set<number>();
    answer = (body, response) => {
      models.add(response.socket?.remotePort ?? 0);
      setTimeout(() => stream(body, response), 20);
    };
    const over = { concurrencies: [6], promptsMultiplier: 5, warmupMultiplier: 0, clientThreads };
    const { ended, output } = await run(over);
    expect(await ended, output()).toBe(0);
    const result = await resultOf(6);
    expect(result).toMatchObject({ requests: 30, completed: 30, failed: 0, clientThreads });
    expect(result.connections).toBe('per-request');
    expect(models.size).toBe(30);
    expect(result.outputTokens).toBe(bodies.reduce((sum, body) => sum + Number(body.max_tokens), 0));
    expect(result.ttftMs.min).toBeGreaterThanOrEqual(19);
    expect(result.itlMs.count).toBe(result.outputTokens - 30);
    // Times of all threads are on one clock.
    expect(result.durationS).toBeGreaterThan(0.09);
    expect(result.durationS).toBeLessThan(60);
    expect(result.queuedMs?.min).toBeGreaterThanOrEqual(0);
  });

  it('keeps its connections when the recipe wants it', async () => {
    const ports = new Set<number>();
    answer = (body, response) => {
      ports.add(response.socket?.remotePort ?? 0);
      stream(body, response);
    };
    const over = { concurrencies: [2], promptsMultiplier: 10, warmupMultiplier: 0 };
    expect(await (await run({ ...over, reuseConnections: true })).ended).toBe(0);
    expect(ports.size).toBe(2);
    expect((await resultOf(2)).connections).toBe('reused');
  });

  it('refuses at once a concurrency for which it may not open enough connections', async () => {
    const { ended, output } = await run({ concurrencies: [4, 300] }, 200);
    expect(await ended).toBe(1);
    expect(output()).toMatch(
      /^loadgen: concurrency 300 needs 364 open files, and this process may have 200: raise the hard limit/,
    );
    expect(bodies).toEqual([]);
  });

  it('uses no file of an earlier run', async () => {
    await writeFile(join(dir, resultFileOf(3)), '{}');
    answer = (body, response) => (bodies.length < 3 ? stream(body, response) : undefined);
    const { child, ended } = await run();
    await until('a request that gets no answer', () => bodies.length === 3);
    child.kill('SIGTERM');
    expect(await ended).toBe(1);
    expect((await readdir(dir)).filter((name) => name.startsWith('results'))).toEqual([]);
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
  expect(whyNotValid([1], [{ ...good, outputTokens: 0 }])).toMatch(/no output token/);
  expect(whyNotValid([1], [{ ...good, completed: 0 }])).toMatch(/no request was completed/);
});
