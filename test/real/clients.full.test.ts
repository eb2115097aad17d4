import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { describeReal, type Environment, pythonOf } from './support/programs.ts';
import { tinyModel } from './support/tiny-model.ts';

const DIST = resolve('dist/srtctl.js');
const SERVER = resolve(import.meta.dirname, '../support/exact-server.mjs');
const [TTFT_MS, ITL_MS] = [50, 10];
const MINUTES = 60_000;

/** Measures a server of a known schedule with another client, and returns the figures in our form. */
async function figuresOf(client: string, environment: Exclude<Environment, 'debian'>) {
  const directory = await mkdtemp(join(tmpdir(), 'clients-'));
  const server = spawn(process.execPath, [SERVER, '--ttft', String(TTFT_MS), '--itl', String(ITL_MS)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  try {
    const [port] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    const model = await tinyModel(join(directory, 'model'), 'vllm', { vocabulary: 2_000 });
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        ...[DIST, 'bench', '--url', `http://127.0.0.1:${Number(port)}`, '--client', client],
        ...['--tokenizer', model, '--isl', '64', '--osl', '32', '--concurrency', '1x4'],
        ...['--set', 'num_prompts_mult=4', '--set', 'random_range_ratio=1', '--json'],
        ...['--output', join(directory, 'out')],
      ],
      {
        env: {
          ...process.env,
          PATH: `${dirname(pythonOf(environment))}:${process.env.PATH}`,
          ...{ HF_HUB_OFFLINE: '1', VLLM_NO_USAGE_STATS: '1' },
        },
      },
    );
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  } finally {
    server.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
}

/** Clients are measured beside other tests: a figure may be later than the schedule, and never earlier. */
const near = (ms: number) => ({
  asymmetricMatch: (value: unknown) => Number(value) > ms - 1 && Number(value) < 3 * ms,
});

describeReal('the real client of vLLM and aiperf', ['vllm', 'aiperf'], () => {
  it.each([
    ['vllm-bench', 'vllm', 'vllm bench serve'],
    ['aiperf', 'aiperf', 'aiperf 0.13.0'],
  ] as const)(
    '%s leaves figures of the schedule in our form',
    async (client, environment, by) => {
      const figures = await figuresOf(client, environment);
      const of = (concurrency: number) => ({
        ...{ concurrency, completed: 4 * concurrency, failed: 0, valid: true, measuredBy: by },
        ...{ outputTokens: 4 * concurrency * 32 },
        ...{ ttftMs: expect.objectContaining({ mean: near(TTFT_MS) }) },
        ...{ tpotMs: expect.objectContaining({ mean: near(ITL_MS) }) },
      });
      expect(figures).toMatchObject([of(1), of(4)]);
    },
    4 * MINUTES,
  );
});
