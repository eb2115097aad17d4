import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { FLAGS, ON_CPU } from './sglang/recipe.ts';
import { ask } from './support/answer.ts';
import { contract, type KnownDifference, type Step } from './support/contract.ts';
import { EngineSide, SIMULATOR } from './support/engine-sides.ts';
import { describeReal, pythonOf } from './support/programs.ts';
import { tinyModel } from './support/tiny-model.ts';

const MINUTES = 60_000;
/** A start takes 25 to 55 s on two free cores, and minutes on busy ones. */
const START = 8 * MINUTES;
const [COMPLETIONS, CHAT, GENERATE] = ['/v1/completions', '/v1/chat/completions', '/generate'];
const MOST = 256;

const completion = { model: 'tiny', prompt: [1000, 1001, 1002], max_tokens: 4, ignore_eos: true };
const chat = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4, ignore_eos: true };
const generate = { text: 'hello there', sampling_params: { max_new_tokens: 4, ignore_eos: true } };
const stream = { stream: true };
const usage = { ...stream, stream_options: { include_usage: true } };
const error = { values: ['code', 'type', 'error.code', 'error.type'] };
const counts = ['usage.prompt_tokens', 'usage.completion_tokens', 'choices[].finish_reason'];
/** The families that srtctl reads, or that its users read first. */
const families =
  /^sglang:(num_running_reqs|num_queue_reqs|http_requests_active|num_(prefill|decode)_\w+_queue_reqs|generation_tokens_total|prompt_tokens_total|realtime_tokens_total|inter_token_latency_seconds|time_to_first_token_seconds|gen_throughput|token_usage|cached_tokens_total|num_requests_total)$/;

const post = (name: string, path: string, body: unknown, more: object = {}): Step<EngineSide> => ({
  ...{ name, path, body },
  ...more,
});

const table: readonly Step<EngineSide>[] = [
  ...['/health', '/health_generate', '/get_model_info', '/v1/models', '/nothing', COMPLETIONS].map(
    (path): Step<EngineSide> => ({ name: `GET ${path}`, path }),
  ),
  { name: 'GET /get_server_info', path: '/get_server_info' },
  { name: 'POST /nothing', path: '/nothing', method: 'POST' },
  post('text', COMPLETIONS, { ...completion, prompt: 'hello there' }),
  post('token ids', COMPLETIONS, completion, { values: counts }),
  post('a list of token ids', COMPLETIONS, { ...completion, prompt: [[1000, 1001]] }, { values: counts }),
  post('in a stream', COMPLETIONS, { ...completion, ...stream, max_tokens: 32 }),
  post('in a stream with usage', COMPLETIONS, { ...completion, ...usage, max_tokens: 32 }),
  post('chat', CHAT, chat, { values: ['choices[].finish_reason'] }),
  post('chat in a stream', CHAT, { ...chat, ...stream, max_tokens: 32 }),
  post('chat in a stream with usage', CHAT, { ...chat, ...usage, max_tokens: 32 }),
  post('its own API', GENERATE, generate),
  post('its own API in a stream', GENERATE, { ...generate, ...stream }),
  post('no model named', COMPLETIONS, { prompt: 'a', max_tokens: 2 }),
  post('an unknown model', COMPLETIONS, { ...completion, model: 'nope' }, error),
  post('no prompt', COMPLETIONS, { model: 'tiny' }, error),
  post('an empty prompt', COMPLETIONS, { ...completion, prompt: '' }, error),
  post('no token ids', COMPLETIONS, { ...completion, prompt: [] }, error),
  post('no messages', CHAT, { model: 'tiny' }, error),
  post('an empty list of messages', CHAT, { ...chat, messages: [] }, error),
  post('no JSON', COMPLETIONS, '{bad', error),
  post('another type than JSON', COMPLETIONS, 'a=b', { ...error, headers: { 'content-type': 'text/plain' } }),
  post('fewer than no tokens', COMPLETIONS, { ...completion, max_tokens: -1 }, error),
  post('an unknown field', COMPLETIONS, { ...completion, nonsense: 1 }),
  post(
    'a prompt that is too long',
    COMPLETIONS,
    { ...completion, prompt: Array(MOST + 1).fill(1000) },
    error,
  ),
  post('more tokens than fit', COMPLETIONS, { ...completion, max_tokens: MOST }, error),
  post(
    'more tokens than fit, in a stream',
    COMPLETIONS,
    { ...completion, ...stream, max_tokens: MOST },
    error,
  ),
  post('more tokens than fit, for chat', CHAT, { ...chat, max_tokens: 2 * MOST }, error),
  { name: 'caches are emptied', path: '/flush_cache', method: 'POST', values: [''] },
  { name: 'GET /metrics', path: '/metrics', families },
];

const TIMES = 'times of a request, and ids of its tokens, which nothing here reads';
const known: readonly KnownDifference[] = [
  {
    ...{ step: 'GET /get_server_info', at: 'body' },
    reason: 'SGLang says all of its 1,000 options and states, the stand-in those that it was given',
  },
  {
    ...{ step: 'GET /get_model_info', at: 'body' },
    reason: 'what the model is, which the stand-in has not read',
  },
  { step: 'its own API', at: 'body.meta_info', reason: TIMES },
  { step: 'its own API', at: 'body.output_ids', reason: TIMES },
  { step: 'its own API in a stream', at: 'body', reason: TIMES },
];

describeReal('SGLang 0.5.23 and its stand-in', ['sglang'], () => {
  let directory = '';
  const sides: EngineSide[] = [];
  afterEach(async () => {
    for (const side of sides.splice(0)) side.end();
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  /** Both sides, started with the same command line. */
  async function both() {
    directory = await mkdtemp(join(tmpdir(), 'srtctl-contract-'));
    const model = await tinyModel(join(directory, 'tiny'), 'sglang');
    const flags = Object.entries(FLAGS).flatMap(([name, value]) =>
      value === true ? [`--${name}`] : [`--${name}`, String(value)],
    );
    const args = [
      ...['-m', 'sglang.launch_server', '--model-path', model, ...flags],
      ...['--context-length', String(MOST), '--enable-metrics'],
    ];
    const place = `${(process.pid >> 8) & 255}.${process.pid & 255}`;
    const real = new EngineSide(`127.153.${place}`, [pythonOf('sglang'), ...args], ON_CPU);
    const standIn = new EngineSide(`127.154.${place}`, [process.execPath, SIMULATOR, ...args]);
    sides.push(real, standIn);
    return { real, standIn };
  }

  it(
    'answer alike; a flush is refused while requests run; and a stopping server completes its running requests',
    async () => {
      const { real, standIn } = await both();
      await Promise.all([real.ready(START), standIn.ready(START)]);
      // Everything but health checks takes milliseconds; on a busy machine it may take any time.
      const steps = table.map((step) =>
        'act' in step || step.path.startsWith('/health') ? step : { ...step, timing: false as const },
      );
      expect(await contract({ real, standIn }, steps, known)).toEqual([]);

      const end = async (side: EngineSide): Promise<unknown> => {
        const answer = await fetch(`${side.url}${COMPLETIONS}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ ...completion, max_tokens: MOST - 10, stream: true }),
        });
        const flush = await ask(side.url, { path: '/flush_cache', method: 'POST' });
        side.child.kill('SIGTERM');
        const text = await answer.text().catch(({ message }: Error) => message);
        return {
          flush: [flush.status, flush.text],
          end: text.trimEnd().split('\n\n').at(-1),
          exit: await side.ended(MINUTES),
        };
      };
      const [one, other] = await Promise.all([end(real), end(standIn)]);
      expect(other).toEqual(one);
    },
    2 * START,
  );
});
