import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadgenConfigSchema } from '../../../src/benchmarks/loadgen/config.ts';
import { runOutsideBenchmark } from '../../../src/benchmarks/loadgen/outside-benchmark.ts';
import { servingResultSchema } from '../../../src/messages/job-directory/serving-result.ts';

let server: ChildProcess;
let url = '';
let directory = '';
beforeAll(async () => {
  const program = join(import.meta.dirname, '../../support/exact-server.mjs');
  server = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const [port] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  url = `http://127.0.0.1:${Number(port)}`;
  directory = await mkdtemp(join(tmpdir(), 'outside-'));
  vi.stubEnv('PATH', `${directory}:${process.env.PATH}`);
});
afterAll(async () => {
  server.kill('SIGKILL');
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

const spread = (metric: string, mean: number): Record<string, number> =>
  Object.fromEntries(
    [
      'mean',
      'median',
      'std',
      ...[0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100].map((one) => `p${one}`),
    ].map((name) => [`${name}_${metric}_ms`, mean]),
  );
/** As `vllm bench serve` of vLLM 0.32.0 leaves it. */
const figures = {
  ...{ backend: 'openai', num_prompts: 8, request_rate: 'inf', max_concurrency: 2, duration: 4 },
  ...{ completed: 8, failed: 0, total_input_tokens: 80, total_output_tokens: 128, request_throughput: 2 },
  ...{ output_throughput: 32, total_token_throughput: 52 },
  ...spread('ttft', 50),
  ...spread('tpot', 10),
  ...spread('itl', 10),
  ...spread('e2el', 200),
};

/** Puts a program in place of vLLM's, which leaves such figures, or ends with a code. */
async function vllmLeaves(content: object | number): Promise<void> {
  const ends = typeof content === 'number' ? `process.exit(${content})` : '';
  await writeFile(
    join(directory, 'vllm'),
    `#!${process.execPath}
const at = process.argv.indexOf('--result-dir');
const { writeFileSync } = require('node:fs');
writeFileSync(process.argv[at + 1] + '/result.json', ${JSON.stringify(JSON.stringify(content))});
const scratch = require('node:os').tmpdir();
writeFileSync(scratch + '/left', '');
writeFileSync(process.argv[at + 1] + '/scratch', scratch);
${ends}`,
  );
  await chmod(join(directory, 'vllm'), 0o755);
}

const measure = (over: object = {}) =>
  runOutsideBenchmark(
    {
      ...loadgenConfigSchema.parse({
        ...{ v: 1, url, endpoint: '/v1/completions', model: null, mustList: false, modelPath: '/model' },
        ...{ takesTokenIds: false, isl: 10, osl: 16, randomRangeRatio: 1, seed: 1, concurrencies: [2] },
        ...{ requestRate: 'inf', promptsMultiplier: 4, warmupMultiplier: 0, requestTimeoutMs: 1_000 },
        ...{ gpus: { total: 4, prefill: null, decode: null } },
        ...{ resultDir: join(directory, 'point'), progressFile: join(directory, 'point/progress.json') },
        ...over,
      }),
      client: { name: 'vllm-bench', args: [] },
    },
    AbortSignal.timeout(60_000),
  );

describe('a benchmark by another client', () => {
  it('leaves a result in our form, with the name of the client', async () => {
    await vllmLeaves(figures);
    const [result] = await measure();
    expect(result).toMatchObject({
      ...{ measuredBy: 'vllm bench serve', concurrency: 2, completed: 8, outputTokens: 128 },
      ttftMs: { mean: 50, p99: 50, max: 50 },
      perGpu: { outputPerGpu: 8 },
      validity: { valid: true },
    });
    const scratch = await readFile(join(directory, 'point/vllm-bench_concurrency_2/scratch'), 'utf8');
    expect(scratch).not.toBe(tmpdir());
    await expect(stat(scratch), 'what the client has left').rejects.toThrow('ENOENT');
    const file = join(directory, 'point/results_concurrency_2.json');
    expect(servingResultSchema.parse(JSON.parse(await readFile(file, 'utf8')))).toEqual(result);
  });

  it('is invalid where requests failed or answers had other lengths', async () => {
    await vllmLeaves({ ...figures, completed: 7, failed: 1, total_output_tokens: 7 * 10 });
    const [result] = await measure();
    expect(result?.validity).toMatchObject({
      valid: false,
      problems: [{ what: 'max_failed' }, { what: 'output_tokens' }],
    });
  });

  it('fails with the program’s exit code, with figures that are missing, and with a program that is missing', async () => {
    await vllmLeaves(3);
    await expect(measure()).rejects.toThrow('vllm-bench ended with exit code 3');
    await vllmLeaves({ ...figures, p95_ttft_ms: undefined });
    await expect(measure()).rejects.toThrow('vllm bench serve: TTFT has no p95');
    await vllmLeaves({});
    await expect(measure()).rejects.toThrow('has another form than the releases that srtctl knows');
    await rm(join(directory, 'vllm'));
    vi.stubEnv('PATH', directory);
    await expect(measure()).rejects.toThrow('vllm is not on the PATH of the benchmark');
  });
});
