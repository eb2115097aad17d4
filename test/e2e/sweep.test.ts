import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ResultLine } from '../../src/benchmarks/result-lines.ts';
import { until } from '../support/bus.ts';
import { type RunningJob, startJob } from '../support/job.ts';
import { writeSweep } from './sweep-recipe.ts';

let dir: string;
const jobs: RunningJob[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
afterEach(async () => {
  await Promise.all(jobs.splice(0).map((job) => job.destroy()));
});

const FAST = { SRTCTL_SIM_LOAD_MS: '100', SRTCTL_SIM_SPEED: '20' };
async function apply(recipe: string, args: string[] = []): Promise<RunningJob> {
  const job = await startJob(['apply', '-f', recipe, '--local', '--mock', ...args], FAST);
  jobs.push(job);
  return job;
}

/** 3 settings of the servers, each with 4 of the benchmark. */
const twelve = (sweep = '', requests = 4) =>
  writeSweep(dir, {
    sweep: `fraction: [0.7, 0.8, 0.9]\nc: [1, 2, 3, 4]\n${sweep}`,
    prefill: 'mem-fraction-static: "{fraction}"',
    decode: 'mem-fraction-static: "{fraction}"',
    concurrencies: '{c}',
    requests,
  });

const pidsOf = async (job: RunningJob, process: string): Promise<number[]> => [
  ...new Set((await job.transitions(process)).flatMap(({ to, pid }) => (to === 'ready' && pid ? [pid] : []))),
];

const statuses = async (job: RunningJob): Promise<string[]> =>
  (await job.results()).map(({ status }) => status);

const resultLinesOf = async (job: RunningJob): Promise<ResultLine[]> =>
  (await readFile(join(await job.jobDir(), 'results.jsonl'), 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ResultLine);

/** Ends a process of the point with this ordinal, in the middle of its benchmark. */
async function killInPoint(job: RunningJob, ordinal: number, id: string): Promise<void> {
  await until(
    `point ${ordinal} benchmarking`,
    async () =>
      (await job.events()).find(
        (event) =>
          event.kind === 'point.transition' && event.ordinal === ordinal && event.to === 'benchmarking',
      ),
    60_000,
  );
  process.kill((await pidsOf(job, id)).at(-1) ?? 0, 'SIGKILL');
}

describe('a sweep', () => {
  it('loads the engines once for each setting of theirs, and has the result of every point', async () => {
    const job = await apply(await twelve());
    expect(await job.ended(), job.stdout + job.stderr).toBe(0);
    expect(await statuses(job)).toEqual(Array(12).fill('done'));
    for (const id of ['prefill-0-0', 'decode-0-0']) expect(await pidsOf(job, id)).toHaveLength(3);
    expect(await pidsOf(job, 'benchmark')).toHaveLength(12);
    // Caches of engines that stay are emptied, and a point that restarts nothing asks for its benchmark alone.
    for (const { caches } of await job.results())
      expect(caches?.map(({ process: id, flushed }) => [id, flushed])).toEqual([
        ['prefill-0-0', true],
        ['decode-0-0', true],
      ]);
    const asked = (await job.transitions('benchmark')).filter(({ to }) => to === 'waiting');
    expect((asked[3]?.generation ?? 0) - (asked[2]?.generation ?? 0)).toBe(1);
    const progress = (await job.events()).filter(({ kind }) => kind === 'sweep.progress');
    expect(progress).toHaveLength(12);
    expect(progress[3]).toMatchObject({ points: 12, done: 4, failed: 0, left: 8 });
    expect(job.stdout).toMatch(/4 of 12 points done; .* a point, expected end/);
    const lines = await resultLinesOf(job);
    expect(lines.map(({ ordinal }) => ordinal)).toEqual(Array.from({ length: 12 }, (_, index) => index));
    expect(lines[5]).toMatchObject({ status: 'done', params: { fraction: 0.8, c: 2 }, concurrency: 2 });
    const csv = execFileSync(process.execPath, ['dist/srtctl.js', 'results', await job.jobDir(), '--csv'], {
      encoding: 'utf8',
    });
    expect(csv.split('\r\n')).toHaveLength(14);
    expect(csv.split('\r\n')[0]).toContain('params.fraction');
  }, 120_000);

  it('that changes the decode workers alone leaves the prefill workers as they are', async () => {
    const recipe = await writeSweep(dir, {
      sweep: 'fraction: [0.7, 0.8, 0.9]',
      decode: 'mem-fraction-static: "{fraction}"',
    });
    const job = await apply(recipe);
    expect(await job.ended(), job.stdout + job.stderr).toBe(0);
    expect(await pidsOf(job, 'prefill-0-0')).toHaveLength(1);
    expect(await pidsOf(job, 'decode-0-0')).toHaveLength(3);
  }, 120_000);
});

describe('a worker that is killed in the fifth point', () => {
  it('fails that point alone, with its cause, and the run ends with exit code 3', async () => {
    const job = await apply(await twelve('', 60));
    await killInPoint(job, 4, 'decode-0-0');
    expect(await job.ended(), job.stdout + job.stderr).toBe(3);
    const wanted = Array(12).fill('done');
    wanted[4] = 'failed';
    expect(await statuses(job)).toEqual(wanted);
    const failed = (await job.results())[4];
    expect(failed).toMatchObject({ attempt: 1, cause: { process: 'decode-0-0', signal: 'SIGKILL' } });
    expect(job.stdout).toContain(`point 4 ${failed?.name}: failed`);
    expect(job.stdout).toContain(failed?.cause?.summary);
    await until('nothing left', async () => (await job.leftovers()).length === 0, 5_000);
  }, 120_000);

  it('costs no result with on_failure: {retry: 1}, and what the failed attempt left is kept', async () => {
    const job = await apply(await twelve('on_failure: { retry: 1, pause: 0.1 }', 60));
    await killInPoint(job, 4, 'prefill-0-0');
    expect(await job.ended(), job.stdout + job.stderr).toBe(0);
    expect(await statuses(job)).toEqual(Array(12).fill('done'));
    expect((await job.results())[4]).toMatchObject({ attempt: 2, cause: null });
    expect(await job.state()).toMatchObject({ exitCode: 0, cause: null });
    expect((await resultLinesOf(job))[4]).toMatchObject({ ordinal: 4, attempt: 2, status: 'done' });
    const points = join(await job.jobDir(), 'points');
    const [fifth = ''] = (await readdir(points)).filter((name) => name.startsWith('04-'));
    const kept = join(points, fifth, 'attempt-1');
    expect(JSON.parse(await readFile(join(kept, 'result.json'), 'utf8'))).toMatchObject({
      status: 'failed',
      attempt: 1,
      cause: { process: 'prefill-0-0' },
    });
    expect(existsSync(join(kept, 'benchmark.out'))).toBe(true);
  }, 120_000);
});

it('a point that takes longer than sweep.point_time_limit fails with that cause, and the next has its turn', async () => {
  const recipe = await writeSweep(dir, {
    sweep: 'requests: [100000, 4]\npoint_time_limit: "0:03"',
    requests: '{requests}',
  });
  const job = await apply(recipe);
  expect(await job.ended(), job.stdout + job.stderr).toBe(3);
  expect(await statuses(job)).toEqual(['failed', 'done']);
  expect((await job.results())[0]?.cause?.summary).toContain('point_time_limit');
}, 60_000);
