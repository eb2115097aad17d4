import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { signal } from '../support/signal.ts';
import { contract, type KnownDifference, type Step } from './support/contract.ts';
import { EngineSide, SIMULATOR } from './support/engine-sides.ts';
import { describeReal, programOf } from './support/programs.ts';
import { slowedUntil } from './support/slowed-until.ts';
import { tinyModel } from './support/tiny-model.ts';

const MINUTES = 60_000;
/** A start takes 30 to 140 s on two cores. */
const START = 8 * MINUTES;
const [COMPLETIONS, CHAT] = ['/v1/completions', '/v1/chat/completions'];
const MOST = 1_024;

const completion = { model: 'tiny', prompt: [1000, 1001, 1002], max_tokens: 4, ignore_eos: true };
const chat = { model: 'tiny', messages: [{ role: 'user', content: 'hi' }], max_tokens: 4, ignore_eos: true };
const stream = { stream: true };
const usage = { ...stream, stream_options: { include_usage: true } };
const error = { values: ['error.code', 'error.type', 'error.param'] };
const counts = ['usage.prompt_tokens', 'usage.completion_tokens', 'choices[].finish_reason'];
/** The families that srtctl reads, or that its users read first. */
const families =
  /^vllm:(num_requests_|kv_cache_usage_perc|generation_tokens|prompt_tokens_total|(external_)?prefix_cache_|num_preemptions|request_success|time_to_first_token)/;

const post = (name: string, path: string, body: unknown, more: object = {}): Step<EngineSide> => ({
  ...{ name, path, body },
  ...more,
});

const table: readonly Step<EngineSide>[] = [
  ...[
    '/health',
    '/ping',
    '/version',
    '/load',
    '/v1/models',
    '/nothing',
    COMPLETIONS,
    '/reset_prefix_cache',
  ].map((path): Step<EngineSide> => ({ name: `GET ${path}`, path })),
  { name: 'POST /health', path: '/health', method: 'POST' },
  { name: 'POST /nothing', path: '/nothing', method: 'POST' },
  post('text', COMPLETIONS, { ...completion, prompt: 'hello there' }),
  post('token ids', COMPLETIONS, completion, { values: counts }),
  post('a list of token ids', COMPLETIONS, { ...completion, prompt: [[1000, 1001]] }, { values: counts }),
  post('in a stream', COMPLETIONS, { ...completion, ...stream }),
  post('in a stream with usage', COMPLETIONS, { ...completion, ...usage }),
  post('chat', CHAT, chat, { values: ['choices[].finish_reason'] }),
  post('chat in a stream', CHAT, { ...chat, ...stream }),
  post('chat in a stream with usage', CHAT, { ...chat, ...usage }),
  post('no model named', COMPLETIONS, { prompt: 'a', max_tokens: 2 }),
  post('an unknown model', COMPLETIONS, { ...completion, model: 'nope' }, error),
  post('an unknown model for chat', CHAT, { ...chat, model: 'nope', ...stream }, error),
  post('no prompt', COMPLETIONS, { model: 'tiny' }, error),
  post('an empty prompt', COMPLETIONS, { ...completion, prompt: '' }, error),
  post('no token ids', COMPLETIONS, { ...completion, prompt: [] }, error),
  post('no messages', CHAT, { model: 'tiny' }, error),
  post('an empty list of messages', CHAT, { ...chat, messages: [] }, error),
  post('no JSON', COMPLETIONS, '{bad', error),
  post('another type than JSON', COMPLETIONS, 'a=b', { ...error, headers: { 'content-type': 'text/plain' } }),
  post('fewer than no tokens', COMPLETIONS, { ...completion, max_tokens: -1 }, error),
  post('no tokens asked for', COMPLETIONS, { ...completion, max_tokens: 0 }, error),
  post('an unknown field', COMPLETIONS, { ...completion, nonsense: 1 }),
  post(
    'a prompt that is too long',
    COMPLETIONS,
    { ...completion, prompt: Array(MOST + 1).fill(1000) },
    error,
  ),
  post('more tokens than fit', COMPLETIONS, { ...completion, max_tokens: MOST }, { values: counts }),
  post(
    'more tokens than fit, in a stream',
    COMPLETIONS,
    { ...completion, ...stream, max_tokens: MOST },
    error,
  ),
  post('more tokens than fit, for chat', CHAT, { ...chat, max_tokens: 2 * MOST }, error),
  { name: 'caches are emptied', path: '/reset_prefix_cache', method: 'POST', values: [''] },
  {
    name: 'caches are emptied, with those of a connector',
    ...{ path: '/reset_prefix_cache?reset_external=true', method: 'POST', values: [''] },
  },
  { name: 'GET /metrics', path: '/metrics', families },
];

const known: readonly KnownDifference[] = [];

describeReal('vLLM 0.32 and its stand-in', ['vllm'], () => {
  let directory = '';
  const sides: EngineSide[] = [];
  afterEach(async () => {
    for (const side of sides.splice(0)) side.end();
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  /** Both sides, started with the same command line. */
  async function both(more: readonly string[] = []) {
    directory = await mkdtemp(join(tmpdir(), 'srtctl-contract-'));
    const model = await tinyModel(join(directory, 'tiny'), 'vllm', { vocabulary: 2_000 });
    const args = [
      ...['serve', model, '--served-model-name', 'tiny', '--load-format', 'dummy'],
      ...['--max-model-len', String(MOST), '--enforce-eager', '--max-num-seqs', '16', ...more],
    ];
    const env = {
      ...{ HF_HUB_OFFLINE: '1', VLLM_NO_USAGE_STATS: '1', VLLM_CPU_KVCACHE_SPACE: '1' },
      VLLM_SERVER_DEV_MODE: '1',
    };
    const place = `${(process.pid >> 8) & 255}.${process.pid & 255}`;
    const real = new EngineSide(`127.151.${place}`, [programOf('vllm', 'vllm'), ...args], env);
    const standIn = new EngineSide(`127.152.${place}`, [process.execPath, SIMULATOR, 'vllm', ...args], env);
    sides.push(real, standIn);
    return { real, standIn };
  }

  it(
    'answer alike, and end alike when their engine core is killed',
    async () => {
      const { real, standIn } = await both();
      await Promise.all([real.ready(START), standIn.ready(START)]);
      // Real answers take milliseconds; on a busy machine they may take any time.
      const steps = table.map((step) => ('act' in step ? step : { ...step, timing: false as const }));
      expect(await contract({ real, standIn }, steps, known)).toEqual([]);
      const cut = async (side: EngineSide): Promise<unknown> => {
        const core = await side.processOf(/EngineCore/);
        const answer = await slowedUntil(
          core.pid,
          fetch(`${side.url}${COMPLETIONS}`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ ...completion, max_tokens: MOST - 10, stream: true }),
          }),
        );
        signal(core.pid, 'SIGKILL');
        const text = await answer.text().catch((error: Error) => error.message);
        // Python writes blanks between the parts of an object.
        const last = text
          .split('\n\n')
          .slice(-3)
          .map((event) => (event.startsWith('data: {') ? JSON.parse(event.slice('data: '.length)) : event));
        return { last, exit: await side.ended() };
      };
      const [one, other] = await Promise.all([cut(real), cut(standIn)]);
      expect(other).toEqual(one);
    },
    2 * START,
  );

  it(
    'end with the same exit code for an unknown option',
    async () => {
      const { real, standIn } = await both(['--no-such-option', '1']);
      const ends = await Promise.all([real.ended(2 * MINUTES), standIn.ended()]);
      expect(ends).toEqual([2, 2]);
      for (const { said } of [real, standIn])
        expect(said).toContain('unrecognized arguments: --no-such-option');
    },
    START,
  );
});
