import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { exists, until } from '../support/bus.ts';
import { signal } from '../support/signal.ts';
import { destroyAll, events, healthy, metric, nodeAddress, post, type StandIn, start } from './stand-ins.ts';

const address = nodeAddress(7);
const url = `http://${address}:8200`;
const argv = (...more: string[]): string[] => [
  ...[
    'vllm',
    'serve',
    '/model',
    '--host',
    '0.0.0.0',
    '--port',
    '8200',
    '--served-model-name',
    'tiny',
    ...more,
  ],
];
afterEach(destroyAll);

async function up(...more: string[]): Promise<StandIn> {
  const server = start(address, argv(...more));
  await healthy(`${url}/health`);
  return server;
}

/** The engine core of a server: its child. */
function coreOf({ child: { pid: parent } }: StandIn): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
      if (
        Number(stat[1]) === parent &&
        readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('VLLM::EngineCore')
      )
        return Number(pid);
    } catch {
      // It has ended in the meantime.
    }
  }
  throw new Error('there is no engine core');
}

const prompt = { model: 'tiny', prompt: [5, 6, 7], max_tokens: 3, ignore_eos: true };

describe('the stand-in for vllm serve', () => {
  it.each([
    [['--max-model-length', '4'], 'vllm serve: error: unrecognized arguments: --max-model-length 4'],
    [['--enforce-eager', 'true'], 'vllm serve: error: unrecognized arguments: true'],
  ])('refuses what the parser of vLLM 0.32 refuses: %j', async (more, message) => {
    const server = start(address, argv(...more));
    expect(await server.ended(), server.output).toBe(2);
    expect(server.output.trim().split('\n').at(-1)).toBe(message);
  });

  it('answers, streams and refuses as vLLM does', async () => {
    const server = await up(
      ...['--max-model-len', '64', '--no-enable-prefix-caching', '--hf-overrides.x', '1', '--max_num_seqs=8'],
      ...['-tp', '1'],
    );
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({
      data: [{ id: 'tiny', owned_by: 'vllm', max_model_len: 64 }],
    });
    expect(await (await post(`${url}/v1/completions`, prompt)).json()).toMatchObject({
      object: 'text_completion',
      choices: [{ finish_reason: 'length' }],
      usage: { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 },
    });
    const asked = { ...prompt, stream: true, stream_options: { include_usage: true } };
    const { chunks, done } = await events<{ choices: { text?: string }[]; usage?: object }>(
      await post(`${url}/v1/completions`, asked),
    );
    expect(done).toBe(true);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    const { prompt: _, ...rest } = asked;
    const chat = await events<{ choices: { delta?: { role?: string; content?: string } }[] }>(
      await post(`${url}/v1/chat/completions`, { ...rest, messages: [{ role: 'user', content: 'hi' }] }),
    );
    expect(chat.chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' });
    const unknown = await post(`${url}/v1/completions`, { ...prompt, model: 'other' });
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { error: { type: 'NotFoundError' } }]);
    const long = await post(`${url}/v1/completions`, { ...prompt, max_tokens: 100 });
    expect([long.status, await long.json()]).toMatchObject([400, { error: { type: 'BadRequestError' } }]);
    const fitted = await post(`${url}/v1/completions`, { ...prompt, max_tokens: 64 });
    expect(await fitted.json()).toMatchObject({ usage: { prompt_tokens: 3, completion_tokens: 61 } });
    expect((await post(`${url}/reset_prefix_cache`, {})).status).toBe(404);
    expect(await metric(url, 'vllm:generation_tokens_total')).toBeGreaterThan(0);
    expect(server.output).toContain('non-default args');
  });

  it('ends with 0 three seconds after its engine core, and answers 500 and 503 until then', async () => {
    const server = await up();
    signal(coreOf(server), 'SIGKILL');
    await until('dead', async () => (await fetch(`${url}/health`)).status === 503);
    expect((await post(`${url}/v1/completions`, prompt)).status).toBe(500);
    expect(await server.ended()).toBe(0);
    expect(server.output).toContain('died unexpectedly');
  });

  it('leaves no engine core when it is killed', async () => {
    const server = await up();
    const core = coreOf(server);
    await server.destroy();
    await until('its end', () => !exists(core));
  });

  it('hangs with its engine core, but stays healthy', async () => {
    const server = await up();
    const core = coreOf(server);
    signal(core, 'SIGSTOP');
    await until('it to be seen', () => readFileSync(`/proc/${core}/stat`, 'latin1').includes(') T '));
    let answered = false;
    const answer = post(`${url}/v1/completions`, prompt).finally(() => {
      answered = true;
    });
    await until('a request that runs', async () => (await metric(url, 'vllm:num_requests_running')) > 0);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect(answered).toBe(false);
    signal(core, 'SIGCONT');
    expect((await answer).status).toBe(200);
  });

  it('empties its cache in its development mode', async () => {
    start(
      address,
      ['python3', '-m', 'vllm.entrypoints.openai.api_server', '--model', '/model', '--port', '8200'],
      {
        VLLM_SERVER_DEV_MODE: '1',
      },
    );
    await healthy(`${url}/health`);
    const answer = await post(`${url}/reset_prefix_cache`, {});
    expect([answer.status, await answer.json()]).toEqual([200, { success: true }]);
  });
});
