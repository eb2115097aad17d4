import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/bus.ts';
import {
  destroyAll,
  engineArgv,
  events,
  healthy,
  metric,
  nodeAddress,
  post,
  type StandIn,
  start,
} from '../stand-ins.ts';

const address = nodeAddress(1);
const url = `http://${address}:6100`;
let engine: StandIn;
beforeAll(async () => {
  engine = start(address, engineArgv(6100, '--max-running-requests', '2', '--context-length', '1000'));
  await healthy(`${url}/health`);
});
afterAll(destroyAll);

interface Chunk {
  choices: {
    text?: string;
    delta?: { role?: string; content?: string };
    finish_reason: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}
const words = (text: string | undefined): number =>
  (text ?? '').split(' ').filter((word) => word !== '').length;

describe('a simulated engine', () => {
  it('streams a completion, a chunk for each token, with its usage at the end when asked', async () => {
    const body = { prompt: 'one two three', max_tokens: 7, ignore_eos: true, stream: true };
    const { chunks, done } = await events<Chunk>(
      await post(`${url}/v1/completions`, { ...body, stream_options: { include_usage: true } }),
    );
    expect(done).toBe(true);
    const texts = chunks.flatMap(({ choices }) => choices.map(({ text }) => text));
    expect(words(texts.join(''))).toBe(7);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('length');
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 3, completion_tokens: 7, total_tokens: 10 },
    });
    const without = await events<Chunk>(await post(`${url}/v1/completions`, body));
    expect(without.chunks.every(({ usage }) => usage == null)).toBe(true);
  });

  it('streams a chat, its role first', async () => {
    const messages = [{ role: 'user', content: 'say something' }];
    const body = { messages, max_completion_tokens: 5, ignore_eos: true, stream: true };
    const { chunks } = await events<Chunk>(await post(`${url}/v1/chat/completions`, body));
    expect(chunks[0]?.choices[0]?.delta?.role).toBe('assistant');
    expect(words(chunks.map(({ choices }) => choices[0]?.delta?.content).join(''))).toBe(5);
  });

  it.each([
    ['words', 'a b c d', 4],
    ['token ids', [5, 6, 7], 3],
    ['a list with one text', ['a b'], 2],
    ['a list with one list of token ids', [[1, 2, 3, 4, 5]], 5],
  ])('counts a prompt of %s', async (_, prompt, tokens) => {
    const answer = await post(`${url}/v1/completions`, { prompt, max_tokens: 2, ignore_eos: true });
    expect(await answer.json()).toMatchObject({
      object: 'text_completion',
      usage: { prompt_tokens: tokens, completion_tokens: 2, total_tokens: tokens + 2 },
    });
  });

  it('answers SGLang’s own API, streamed with the whole text so far', async () => {
    const body = { input_ids: [1, 2, 3], sampling_params: { max_new_tokens: 4, ignore_eos: true } };
    expect(await (await post(`${url}/generate`, body)).json()).toMatchObject({
      text: ' token token token token',
      meta_info: { prompt_tokens: 3, completion_tokens: 4, finish_reason: { type: 'length' } },
    });
    const { chunks } = await events<{ text: string }>(
      await post(`${url}/generate`, { ...body, stream: true }),
    );
    const texts = chunks.map(({ text }) => text);
    for (const [index, text] of texts.entries()) expect(text.startsWith(texts[index - 1] ?? '')).toBe(true);
    expect(words(texts.at(-1))).toBe(4);
  });

  it('may end early without ignore_eos, the same each time', async () => {
    const ask = async () =>
      (await post(`${url}/v1/completions`, { prompt: 'hello', max_tokens: 100 })).json();
    const first = (await ask()) as Chunk;
    expect(first.usage?.completion_tokens).toBeLessThan(100);
    expect(first.choices[0]?.finish_reason).toBe('stop');
    expect(((await ask()) as Chunk).usage).toEqual(first.usage);
  });

  it.each([
    ['no prompt', '/v1/completions', { max_tokens: 3 }, /prompt/],
    ['more than one prompt', '/v1/completions', { prompt: ['a', 'b'] }, /one prompt/],
    ['no messages', '/v1/chat/completions', { messages: [] }, /messages/],
    [
      'a prompt longer than the context',
      '/v1/completions',
      { prompt: 'a', max_tokens: 1_000 },
      /context length of 1000/,
    ],
  ])('answers 400 to %s', async (_, path, body, message) => {
    const answer = await post(`${url}${path}`, body);
    expect(answer.status).toBe(400);
    expect(JSON.stringify(await answer.json())).toMatch(message);
  });

  it('reports its model, its options and its figures', async () => {
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({ data: [{ id: 'a/model' }] });
    expect(await (await fetch(`${url}/get_model_info`)).json()).toMatchObject({ model_path: '/model' });
    expect(await (await fetch(`${url}/get_server_info`)).json()).toMatchObject({ max_running_requests: 2 });
    const before = await metric(url, 'sglang:generation_tokens_total');
    await post(`${url}/v1/completions`, { prompt: 'a', max_tokens: 10, ignore_eos: true });
    expect(await metric(url, 'sglang:generation_tokens_total')).toBe(before + 10);
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('sglang:time_to_first_token_seconds_bucket{model_name="a/model",le="+Inf"}');
    expect(text).toContain('# TYPE sglang:token_usage gauge');
    expect(text).toMatch(/sglang:realtime_tokens_total\{model_name="a\/model",mode="decode"\} [1-9]/);
    expect(text).toContain('# TYPE sglang:inter_token_latency_seconds histogram');
  });

  it('queues requests above max-running-requests, and an abort frees a place', async () => {
    const own = `http://${address}:6260`;
    // So slow that the requests do not end during the test.
    start(address, engineArgv(6260, '--max-running-requests', '2'), { SRTCTL_SIM_SPEED: '0.5' });
    await healthy(`${own}/health`);
    const stop = new AbortController();
    const endless = { prompt: 'a', max_tokens: 10_000, ignore_eos: true, stream: true };
    const slow = [1, 2, 3].map(() =>
      post(`${own}/v1/completions`, endless, stop.signal)
        .then((answer) => answer.text())
        .catch(() => undefined),
    );
    // The running and waiting counts change with every 40th batch, and may be 0 until then; the count of open
    // HTTP requests is always current.
    const active = 'sglang:http_requests_active{endpoint="/v1/completions"}';
    await until('three requests', async () => (await textOf(`${own}/metrics`)).includes(`${active} 3`));
    await until('one in the queue', async () => (await metric(own, 'sglang:num_queue_reqs')) === 1, 60_000);
    await until('two run', async () => (await metric(own, 'sglang:num_running_reqs')) === 2);
    const refused = await post(`${own}/flush_cache`, {});
    expect([refused.status, await refused.text()]).toEqual([400, 'Flush cache failed.\n']);
    stop.abort();
    await Promise.all(slow);
    await until('none running', async () => (await metric(own, 'sglang:num_running_reqs')) === 0);
    expect(await textOf(`${own}/metrics`)).toContain(`${active} 0`);
    expect(await metric(own, 'sglang:num_queue_reqs')).toBe(0);
  });

  it('survives a client that disconnects during its request', async () => {
    await new Promise<void>((resolve) => {
      const socket = connect({ host: address, port: 6100 }, () => {
        socket.write(
          'POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{"prompt":',
          () => {
            socket.destroy();
          },
        );
      });
      socket.once('close', () => resolve());
    });
    await healthy(`${url}/health`);
    expect(engine.child.exitCode).toBeNull();
  });

  it("is the started process: its pid is the engine's", async () => {
    expect(await readFile(`/proc/${engine.child.pid}/cmdline`, 'utf8')).toContain('simulator.js');
  });

  it('gives a chunk for each --stream-interval tokens', async () => {
    start(address, engineArgv(6132, '--stream-interval', '10'));
    await healthy(`http://${address}:6132/health`);
    const body = { prompt: 'a', max_tokens: 31, ignore_eos: true, stream: true };
    const { chunks } = await events<Chunk>(await post(`http://${address}:6132/v1/completions`, body));
    // The first token, then three times ten; fewer chunks on a busy machine, because late tokens are sent
    // together.
    expect(chunks.length).toBeLessThanOrEqual(4);
    expect(words(chunks.map(({ choices }) => choices[0]?.text).join(''))).toBe(31);
  });
});

const textOf = async (url: string): Promise<string> => (await fetch(url)).text();

describe('the life of a simulated engine', () => {
  it('is unhealthy while it drains its requests before its end', async () => {
    const ending = start(address, engineArgv(6228), { SRTCTL_SIM_SPEED: '1' });
    await healthy(`http://${address}:6228/health`);
    const stop = new AbortController();
    const body = { prompt: 'a', max_tokens: 100_000, ignore_eos: true };
    const answer = post(`http://${address}:6228/v1/completions`, body, stop.signal).catch(() => undefined);
    const active = '{endpoint="/v1/completions"} 1';
    await until('a request', async () => (await textOf(`http://${address}:6228/metrics`)).includes(active));
    ending.child.kill('SIGTERM');
    await until('503', async () => (await fetch(`http://${address}:6228/health`)).status === 503);
    stop.abort();
    await answer;
    expect(await ending.ended()).toBe(0);
  });

  it('loads before it is healthy, and logs it', async () => {
    const loading = start(address, engineArgv(6164), { SRTCTL_SIM_LOAD_MS: '4000' });
    await loading.says('Load weight begin');
    const answer = await fetch(`http://${address}:6164/health`).catch(() => undefined);
    expect(loading.output).not.toContain('fired up');
    expect(answer?.ok ?? false).toBe(false);
    await loading.says('The server is fired up and ready to roll!');
    await healthy(`http://${address}:6164/health_generate`);
    loading.child.kill('SIGTERM');
    expect(await loading.ended()).toBe(0);
  });

  it('reports that its port is in use, and keeps running', async () => {
    const second = start(address, engineArgv(6100));
    await second.says(
      /ERROR: {4}\[Errno 98\] .*address already in use\nINFO: {5}Waiting for application shutdown/,
    );
    expect(second.child.exitCode).toBeNull();
  });

  it('crashes when asked to, as an engine does', async () => {
    const crashing = start(address, engineArgv(6196), { SRTCTL_SIM_CRASH_AFTER_MS: '1' });
    expect(await crashing.ended()).toBe(1);
    expect(crashing.output).toMatch(/^Traceback \(most recent call last\):/m);
  });

  it('ignores SIGTERM when asked to, but not SIGKILL', async () => {
    const deaf = start(address, engineArgv(6228), { SRTCTL_SIM_IGNORE_TERM: '1' });
    await deaf.says('ready to roll');
    deaf.child.kill('SIGTERM');
    await deaf.says('not listening');
    await healthy(`http://${address}:6228/health`);
    deaf.child.kill('SIGKILL');
    expect(await deaf.ended()).toBe('SIGKILL');
  });
});
