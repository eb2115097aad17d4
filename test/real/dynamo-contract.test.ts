import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { signal } from '../support/signal.ts';
import type { Answer } from './support/answer.ts';
import { contract, type Step } from './support/contract.ts';
import { DynamoSide } from './support/dynamo-sides.ts';
import { firstTokens } from './support/first-tokens.ts';
import { describeReal } from './support/programs.ts';
import { tinyModel } from './support/tiny-model.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal
const COLOURS = /\u001b\[[0-9;]*m/g;
const completion = { model: 'tiny', prompt: [1000, 1001], max_tokens: 3, ignore_eos: true };
const chat = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 3, ignore_eos: true };
const [COMPLETIONS, CHAT] = ['/v1/completions', '/v1/chat/completions'];
const usage = { stream: true, stream_options: { include_usage: true } };
/** Compares the set of instances without their data. */
const health = { path: '/health', values: ['status'] };
const error = { values: ['code', 'type'] };
const whole = { values: ['code', 'type', 'message'] };
const lists = ({ text }: Answer) => text.includes('"tiny"');
const isEmpty = ({ text }: Answer) => text.includes('"instances":[]');

const withoutWorkers: Step<DynamoSide>[] = [
  { name: 'health without workers', ...health },
  { name: 'live', path: '/live', values: [''] },
  { name: 'no models', path: '/v1/models' },
  { name: 'a model that is not there', path: '/v1/models/x/ready', ...whole },
  { name: 'no route', path: '/nothing', ...whole },
  { name: 'another method', path: '/health', method: 'DELETE' },
  { name: 'flush of the caches', path: '/clear_kv_blocks', method: 'POST', ...whole },
  { name: 'a completion without a model', path: COMPLETIONS, body: completion },
  { name: 'GET of a path that is POST', path: COMPLETIONS },
];

const requests: Step<DynamoSide>[] = [
  { name: 'a worker starts', act: (side) => side.worker() },
  { name: 'the model is listed', path: '/v1/models', until: lists, timing: false },
  { name: 'health with a worker', ...health },
  { name: 'one model', path: '/v1/models/tiny' },
  { name: 'a model is ready', path: '/v1/models/tiny/ready', values: ['ready'], keyed: ['namespaces'] },
  { name: 'completion', path: COMPLETIONS, body: completion, values: ['object', 'usage.completion_tokens'] },
  { name: 'completion in a stream', path: COMPLETIONS, body: { ...completion, stream: true } },
  { name: 'completion in a stream with usage', path: COMPLETIONS, body: { ...completion, ...usage } },
  { name: 'chat', path: CHAT, body: chat, values: ['object'] },
  { name: 'chat in a stream with usage', path: CHAT, body: { ...chat, ...usage } },
  { name: 'text', path: COMPLETIONS, body: { ...completion, prompt: 'hello there' } },
  { name: 'an unknown model', path: COMPLETIONS, body: { ...completion, model: 'nope' }, ...whole },
  { name: 'an unknown model for chat', path: CHAT, body: { ...chat, model: 'nope', stream: true }, ...whole },
  { name: 'no model named', path: COMPLETIONS, body: { prompt: 'a' }, ...error },
  { name: 'no prompt', path: COMPLETIONS, body: { model: 'tiny' }, ...error },
  { name: 'no JSON', path: COMPLETIONS, body: '{bad', ...error },
  { name: 'fewer than no tokens', path: COMPLETIONS, body: { ...completion, max_tokens: -1 }, ...error },
  { name: 'an unknown field', path: COMPLETIONS, body: { ...completion, nonsense: 1 }, ...whole },
  { name: 'an empty prompt', path: COMPLETIONS, body: { ...completion, prompt: '' }, ...whole },
  { name: 'no ids', path: COMPLETIONS, body: { ...completion, prompt: [] }, ...whole },
  { name: 'no messages', path: CHAT, body: { ...chat, messages: [] }, ...whole },
];

describeReal('Dynamo 1.6.1 and its stand-ins', ['dynamo'], () => {
  let directory = '';
  let sides: { real: DynamoSide; standIn: DynamoSide };
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'srtctl-contract-'));
    const model = await tinyModel(join(directory, 'tiny'), 'dynamo');
    sides = {
      real: new DynamoSide('real', directory, model),
      standIn: new DynamoSide('standIn', directory, model),
    };
    await Promise.all([sides.real.begin(), sides.standIn.begin()]);
  }, 120_000);
  afterAll(() => {
    sides?.real.end();
    sides?.standIn.end();
    if (!process.env.KEEP)
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });
  const both = () => [sides.real, sides.standIn];

  it('answer alike, without workers and with one', async () => {
    // Real answers take milliseconds; on a busy machine they may take any time.
    const steps = [...withoutWorkers, ...requests].map((step) =>
      'act' in step ? step : { ...step, timing: false as const },
    );
    expect(await contract(sides, steps)).toEqual([]);
  }, 120_000);

  it('the first token is late on a reused connection, and not on a new one', {
    retry: 3,
    timeout: 60_000,
  }, async () => {
    // A delayed ACK takes 40 ms or more, whatever else the machine does; the minimum of many is not late by
    // chance.
    const late = 35;
    const body = { ...completion, max_tokens: 8 };
    const classes = await Promise.all(
      both().map(async ({ url }) => {
        const [kept, fresh] = [
          new Agent({ keepAlive: true, maxSockets: 1 }),
          new Agent({ keepAlive: false }),
        ];
        const onKept = await firstTokens(`${url}${COMPLETIONS}`, body, kept, 20);
        const onFresh = await firstTokens(`${url}${COMPLETIONS}`, body, fresh, 20);
        kept.destroy();
        const median = onKept.sort((a, b) => a - b)[10] ?? 0;
        return {
          kept: median >= late ? 'late' : 'at once',
          fresh: Math.min(...onFresh) >= late ? 'late' : 'at once',
        };
      }),
    );
    expect(classes[1]).toEqual(classes[0]);
    expect(classes[0]).toEqual({ kept: 'late', fresh: 'at once' });
  });

  it('a mocker’s health is 503 with its endpoints', async () => {
    const shapes = await Promise.all(
      both().map(async ({ host, statusPort }) => {
        const answers = ['/health', '/live', '/nothing'].map(async (path) => {
          const answer = await fetch(`http://${host}:${statusPort}${path}`);
          const text = await answer.text();
          const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text };
          const { status, endpoints = {} } = json as { status?: string; endpoints?: Record<string, string> };
          const names = Object.keys(endpoints).map((name) => name.replace(/_[0-9a-f]+$/, ''));
          return [
            answer.status,
            answer.headers.get('content-type'),
            Object.keys(json).sort(),
            status,
            names.sort(),
          ];
        });
        return Promise.all(answers);
      }),
    );
    expect(shapes[1]).toEqual(shapes[0]);
    expect(shapes[0]?.[0]?.[0]).toBe(503);
  });

  it('workers have the same keys in etcd, with leases of 30 s', async () => {
    const found = await Promise.all(
      both().map(async (side) => ({
        keys: (await side.keys())
          .filter((key) => /^v1\/(instances|mdc)\//.test(key) && key.includes('/generate/'))
          .map((key) => key.replace(/[0-9a-f]+$/, 'ID')),
        leases: await side.leases(),
      })),
    );
    expect(found[1]).toEqual(found[0]);
    expect(found[0]?.leases).toEqual([30]);
  });

  it("after a worker's death the stream ends in an error, requests are refused, and the worker is dropped equally late", async () => {
    const cut = (side: DynamoSide): Promise<string> =>
      fetch(`${side.url}${COMPLETIONS}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...completion, max_tokens: 30_000, stream: true }),
      }).then(async (answer) => {
        const pid = side.workers[0]?.child.pid ?? 0;
        signal(pid, 'SIGKILL');
        return (await answer.text()).split('\n\n').slice(-3).join('\n');
      });
    const ends = await Promise.all(both().map(cut));
    expect(ends[1]).toBe(ends[0]);
    expect(ends[0]).toContain('{"error":');
    const after: Step<DynamoSide>[] = [
      { name: 'a completion after the death', path: COMPLETIONS, body: completion, ...error },
      { name: 'health after the death', ...health },
      { name: 'nobody is registered', path: '/health', until: isEmpty, withinMs: 60_000 },
      { name: 'no model is listed', path: '/v1/models' },
    ];
    expect(await contract(sides, after)).toEqual([]);
  }, 120_000);

  /** How a worker ends, its last words, and how many failed connection attempts it logged before. */
  const ending = async (side: DynamoSide, env: Readonly<Record<string, string>>) => {
    const { ended, log } = await side.worker(env);
    const code = await ended;
    const lines = log()
      .replaceAll(COLOURS, '')
      .split('\n')
      .filter((line) => line !== '');
    return {
      code,
      last: lines.at(-1),
      tries: lines.filter((line) => line.includes('not reachable yet')).length,
    };
  };

  it('a worker ends at once when NATS refuses its login', async () => {
    const env = { NATS_AUTH_USERNAME: 'somebody', NATS_AUTH_PASSWORD: 'else' };
    const ends = await Promise.all(both().map((side) => ending(side, env)));
    expect(ends[1]).toEqual(ends[0]);
    expect(ends[0]).toEqual({ code: 1, last: 'Exception: Failed to connect to NATS', tries: 0 });
  }, 60_000);

  it.each([
    ['NATS', 'NATS_SERVER', 'nats', ' (2 attempts)'],
    ['etcd', 'ETCD_ENDPOINTS', 'http', ''],
  ])(
    'a worker retries for a while when it cannot reach %s, and ends with the same words',
    async (name, variable, scheme, attempts) => {
      // Without this variable, 120 s (seen: 26 attempts at NATS, after 0, 1, 3, 7, 12, 17… s).
      const limit = { [`${name.toUpperCase()}_STARTUP_CONNECT_TIMEOUT_SECONDS`]: '3' };
      const ends = await Promise.all(
        both().map((side) => ending(side, { ...limit, [variable]: `${scheme}://${side.host}:1` })),
      );
      expect(ends[1]).toEqual(ends[0]);
      expect(ends[0]).toEqual({
        code: 1,
        last: `Exception: ${name} startup connection timed out after 3 seconds${attempts}`,
        tries: 2,
      });
    },
    60_000,
  );

  it('a wrong flag ends both with the same exit code', async () => {
    const ends = await Promise.all(
      both().map(async (side) => (await side.worker({}, ['--no-such-option', '1'])).ended),
    );
    expect(ends).toEqual([2, 2]);
  }, 60_000);

  it('a stopping worker removes itself from the registry', async () => {
    await Promise.all(
      both().map(async (side) => {
        const { child, ended } = await side.worker();
        // The real one handles signals only some time after it has registered.
        const models = async () => (await fetch(`${side.url}/v1/models`)).text();
        await until(`${side.kind} is listed`, async () => (await models()).includes('"tiny"'));
        signal(child.pid ?? 0, 'SIGTERM');
        expect(await ended).toBe(0);
        await until(`${side.kind} deregistered`, async () =>
          (await side.keys()).every((key) => !key.includes('/generate/')),
        );
      }),
    );
  }, 60_000);
});
