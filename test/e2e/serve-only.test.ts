import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0' });
let recipe: string;
beforeAll(async () => {
  recipe = await writeRecipe(jobs.dir, { frontend: 'sglang' });
});

const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

it('--serve-only deploys, says how to reach the deployment, and has served when it is cancelled', async () => {
  const job = await jobs.apply(recipe, { args: ['--serve-only'] });
  await job.pointReached('benchmarking');
  const status = await jobs.start(['status', await job.jobDir()]);
  expect(await status.ended()).toBe(0);
  const [, url] = /serving \S+ at (http:\S+)\/v1/.exec(status.said) ?? [];
  expect(status.said).toMatch(/tunnel {3}ssh -N -L (\d+):[\d.]+:\1 \S+@\S+/);
  const models = await fetch(`${url}/v1/models`);
  expect(models.status).toBe(200);
  const cancel = await jobs.start(['cancel', await job.jobDir()]);
  expect(await cancel.ended(), cancel.said).toBe(0);
  expect(await job.ended(), job.said).toBe(0);
  expect(job.said).toContain(`serving`);
  expect(job.said).toMatch(/point 0 \S+: served/);
  expect((await job.results())[0]).toMatchObject({
    status: 'done',
    outcome: 'served',
    benchmark: { valid: null },
  });
  await job.nothingLeft();
}, 120_000);

it('--serve-only refuses a sweep of several points', async () => {
  const file = join(jobs.dir, 'sweep.yaml');
  const text = await readFile(recipe, 'utf8');
  await writeFile(file, `${text.replace('isl: 64', 'isl: "{isl}"')}sweep:\n  isl: [16, 32]\n`);
  const job = await jobs.apply(file, { args: ['--serve-only'] });
  expect(await job.ended()).toBe(2);
  expect(job.said).toContain('--serve-only deploys one point, and the sweep has 2');
}, 60_000);

it('--wait --json prints a line for the submission and one for the end', async () => {
  const job = await jobs.apply(recipe, { args: ['--wait', '--json'] });
  expect(await job.ended(), job.said).toBe(0);
  expect(linesOf(job.stdout)).toEqual([
    expect.objectContaining({ kind: 'submitted', jobId: expect.any(String), nodes: 3, mode: 'local' }),
    expect.objectContaining({ kind: 'ended', exitCode: 0, outcome: 'done', cause: null }),
  ]);
}, 120_000);

it('--wait prints the end of a failed job with its cause, and ends with its exit code', async () => {
  const job = await jobs.apply(recipe, {
    args: ['--wait', '--json'],
    env: {
      SRTCTL_SIM_FAULTS: JSON.stringify([{ process: 'decode-0-0', at: 'start', what: 'exit', code: 9 }]),
    },
  });
  const exitCode = await job.ended();
  expect(exitCode).not.toBe(2);
  const [, end] = linesOf(job.stdout);
  expect(end).toMatchObject({ kind: 'ended', exitCode });
}, 120_000);
