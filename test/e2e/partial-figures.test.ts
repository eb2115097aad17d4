import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import type { RunningJob } from '../support/job.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';
import { writeSweep } from './sweep-recipe.ts';

const jobs = useJobs();

/**
 * A run that has finished concurrency 1 (a probe and 4 requests), and gets no more answers at concurrency 2.
 */
async function afterTheFirst(sweep: string): Promise<RunningJob> {
  const recipe = await writeSweep(jobs.dir, {
    sweep,
    concurrencies: '1x2',
    osl: '{osl}',
    extra: 'telemetry: { required: true }\n',
  });
  const stall = { do: 'stall', process: 'frontend', path: '/v1/completions', request: 7 };
  const job = await jobs.apply(recipe, { env: { SRTCTL_SIM_FAULTS: JSON.stringify([stall]) } });
  await until('concurrency 2', async () => {
    if (job.child.exitCode !== null) throw new Error(job.said);
    const file = join(await job.jobDir(), 'points', '00-e2e-sweep_osl16', 'progress.json');
    return /"concurrency":2/.test(await readFile(file, 'utf8').catch(() => ''));
  });
  return job;
}

const shown = (job: RunningJob, command: string): string =>
  jobs.run(job.outputs, [command, 'latest', '--output', job.outputs]).stdout;

const KEPT = { valid: false, partial: true, serving: [{ concurrency: 1, completed: 4 }] };

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  'figures of finished concurrencies are kept on %s',
  async (name, code) => {
    const job = await afterTheFirst('osl: [16]');
    expect(shown(job, 'results')).toMatch(/unfinished, partial.* 1 /);
    expect(shown(job, 'status')).toContain('partial figures (1 concurrency)');
    signal(job.child.pid ?? 0, name);
    expect(await job.ended(), job.said).toBe(code);
    expect((await job.results())[0]).toMatchObject({ status: 'interrupted', benchmark: KEPT });
    expect(shown(job, 'results')).toMatch(/interrupted, partial.* 1 /);
    expect(shown(job, 'status')).toContain('partial figures (1 concurrency)');
    const lines = await readFile(join(await job.jobDir(), 'results.jsonl'), 'utf8');
    expect(JSON.parse(lines)).toMatchObject({ concurrency: 1, valid: false, partial: true });
  },
  90_000,
);

it('figures of finished concurrencies are kept when the load generator is killed', async () => {
  const job = await afterTheFirst('osl: [16]');
  signal(await job.pidOf('benchmark'), 'SIGKILL');
  expect(await job.ended(), job.said).toBe(1);
  expect((await job.results())[0]).toMatchObject({
    status: 'failed',
    cause: { process: 'benchmark' },
    benchmark: KEPT,
  });
  expect(shown(job, 'results')).toMatch(/failed, partial.* 1 /);
  const notDone =
    'telemetry.required: not done by srtctl yet: a run does not fail when nothing could be recorded';
  expect((await job.results())[0]?.notDone).toEqual([notDone]);
  expect(job.stderr).toContain(notDone);
  expect(job.stdout).toContain(`not done: ${notDone}`);
}, 90_000);

it('figures of finished concurrencies are kept when the point reaches its time limit', async () => {
  const job = await afterTheFirst('osl: [16]\npoint_time_limit: "0:12"');
  expect(await job.ended(), job.said).toBe(1);
  const [result] = await job.results();
  expect(result).toMatchObject({ status: 'failed', benchmark: KEPT });
  expect(result?.cause?.summary).toContain('time limit of 12 s');
}, 90_000);
