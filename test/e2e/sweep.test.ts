import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ResultLine } from '../../src/benchmarks/common/result-lines.ts';
import { until } from '../support/bus.ts';
import type { RunningJob } from '../support/job.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';
import { writeSweep } from './sweep-recipe.ts';

const jobs = useJobs({ SRTCTL_SIM_SPEED: '20' });

/** 3 settings of the servers, each with 4 of the benchmark. */
const twelve = (sweep = '', requests = 4) =>
  writeSweep(jobs.dir, {
    sweep: `fraction: [0.7, 0.8, 0.9]\nc: [1, 2, 3, 4]\n${sweep}`,
    prefill: 'mem-fraction-static: "{fraction}"',
    decode: 'mem-fraction-static: "{fraction}"',
    concurrencies: '{c}',
    requests,
  });

const resultLinesOf = async (job: RunningJob): Promise<ResultLine[]> =>
  (await readFile(join(await job.jobDir(), 'results.jsonl'), 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ResultLine);

/** Kills a process during the point with this ordinal, or during a point soon after it on a busy machine. */
async function killInPoint(job: RunningJob, ordinal: number, id: string): Promise<void> {
  await job.pointReached('benchmarking', ordinal);
  signal((await job.pidsOf(id)).at(-1), 'SIGKILL');
}

describe('a sweep', () => {
  it('loads the engines once for each of their settings, and has the result of every point', async () => {
    const job = await jobs.apply(await twelve());
    expect(await job.ended(), job.said).toBe(0);
    expect(await job.statuses()).toEqual(Array(12).fill('done'));
    for (const id of ['prefill-0-0', 'decode-0-0']) expect(await job.pidsOf(id)).toHaveLength(3);
    expect(await job.pidsOf('benchmark')).toHaveLength(12);
    // The caches of reused engines are flushed, and a point that restarts nothing only starts its benchmark.
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
    const { stdout: csv } = jobs.run(job.outputs, ['results', await job.jobDir(), '--csv']);
    expect(csv.split('\r\n')).toHaveLength(14);
    expect(csv.split('\r\n')[0]).toContain('params.fraction');
  }, 120_000);

  it('keeps the prefill workers when only the decode workers change', async () => {
    const recipe = await writeSweep(jobs.dir, {
      sweep: 'fraction: [0.7, 0.8, 0.9]',
      decode: 'mem-fraction-static: "{fraction}"',
    });
    const job = await jobs.apply(recipe);
    expect(await job.ended(), job.said).toBe(0);
    expect(await job.pidsOf('prefill-0-0')).toHaveLength(1);
    expect(await job.pidsOf('decode-0-0')).toHaveLength(3);
  }, 120_000);
});

describe('a worker that is killed in the fifth point', () => {
  it('fails only that point, with its cause, and the run ends with exit code 3', async () => {
    const job = await jobs.apply(await twelve('', 60));
    await killInPoint(job, 4, 'decode-0-0');
    expect(await job.ended(), job.said).toBe(3);
    const found = await job.statuses();
    const hurt = found.indexOf('failed');
    expect(hurt).toBeGreaterThanOrEqual(4);
    expect(found.with(hurt, 'done')).toEqual(Array(12).fill('done'));
    const failed = (await job.results())[hurt];
    expect(failed).toMatchObject({ attempt: 1, cause: { process: 'decode-0-0', signal: 'SIGKILL' } });
    expect(job.stdout).toContain(`point ${hurt} ${failed?.name}: failed`);
    expect(job.stdout).toContain(failed?.cause?.summary);
    await job.nothingLeft();
  }, 120_000);

  it('loses no result with on_failure: {retry: 1}, and the files of the failed attempt are kept', async () => {
    const job = await jobs.apply(await twelve('on_failure: { retry: 1, pause: 0.1 }', 60));
    await killInPoint(job, 4, 'prefill-0-0');
    expect(await job.ended(), job.said).toBe(0);
    expect(await job.statuses()).toEqual(Array(12).fill('done'));
    const hurt = (await job.results()).findIndex(({ attempt }) => attempt === 2);
    expect(hurt).toBeGreaterThanOrEqual(4);
    expect((await job.results())[hurt]).toMatchObject({ attempt: 2, cause: null });
    expect(await job.state()).toMatchObject({ exitCode: 0, cause: null });
    expect((await resultLinesOf(job))[hurt]).toMatchObject({ ordinal: hurt, attempt: 2, status: 'done' });
    const points = join(await job.jobDir(), 'points');
    const kept = join(points, (await readdir(points)).sort()[hurt] ?? '', 'attempt-1');
    expect(JSON.parse(await readFile(join(kept, 'result.json'), 'utf8'))).toMatchObject({
      status: 'failed',
      attempt: 1,
      cause: { process: 'prefill-0-0' },
    });
    expect(existsSync(join(kept, 'benchmark.out'))).toBe(true);
  }, 120_000);
});

it('a failed point with a retry left has failed when the run is stopped during the pause', async () => {
  const recipe = await writeSweep(jobs.dir, {
    sweep: 'requests: [100000, 4]\npoint_time_limit: "0:05"\non_failure: { retry: 1, pause: 3600 }',
    requests: '{requests}',
  });
  const job = await jobs.apply(recipe);
  await job.pointReached('benchmarking');
  await until('the pause', async () => (await job.state()).points[0]?.attempts === 1 && job);
  job.child.kill('SIGINT');
  expect(await job.ended(), job.said).toBe(130);
  expect(await job.statuses()).toEqual(['failed']);
  expect((await job.state()).points.map(({ state }) => state)).toEqual(['failed', 'planned']);
  expect((await resultLinesOf(job))[0]).toMatchObject({ status: 'failed', attempt: 1 });
}, 120_000);

it('a point that takes longer than sweep.point_time_limit fails with that cause, and the next one runs', async () => {
  const recipe = await writeSweep(jobs.dir, {
    sweep: 'requests: [100000, 4]\npoint_time_limit: "0:15"',
    requests: '{requests}',
  });
  const job = await jobs.apply(recipe);
  expect(await job.ended(), job.said).toBe(3);
  expect(await job.statuses()).toEqual(['failed', 'done']);
  expect((await job.results())[0]?.cause?.summary).toContain('point_time_limit');
}, 120_000);
