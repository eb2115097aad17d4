import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';
import { expectWhole } from './whole.ts';

const jobs = useJobs();

describe('apply --local --mock', () => {
  it.each(['sglang', 'dynamo'] as const)(
    'runs a %s recipe to a valid result and leaves nothing',
    async (frontend) => {
      const job = await jobs.apply(await writeRecipe(jobs.dir, { frontend, concurrencies: '1x2' }));
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      expect(result).toMatchObject({ status: 'done', cause: null, benchmark: { valid: true } });
      expect(result?.benchmark?.serving.map((entry) => entry.concurrency)).toEqual([1, 2]);
      for (const entry of result?.benchmark?.serving ?? []) {
        expect(entry).toMatchObject({ failed: 0, completed: entry.concurrency * 4 });
        expect(entry.outputTokens).toBeGreaterThan(0);
        expect(entry.ttftMs.mean).toBeGreaterThan(0);
      }
      await job.nothingLeft();
      const state = await job.state();
      expect(state).toMatchObject({ sweep: 'finished', exitCode: 0 });
      expectWhole(await job.events());
    },
    90_000,
  );

  it('runs two jobs at once without disturbing either', async () => {
    const recipe = await writeRecipe(jobs.dir, { frontend: 'dynamo' });
    const [a, b] = await Promise.all([jobs.apply(recipe), jobs.apply(recipe)]);
    expect(await Promise.all([a.ended(), b.ended()]), a.stderr + b.stderr).toEqual([0, 0]);
    for (const job of [a, b]) expect((await job.results())[0]).toMatchObject({ status: 'done' });
  }, 90_000);

  it('keeps secrets in files that only the owner can read, and removes them at the end', async () => {
    const job = await jobs.apply(await writeRecipe(jobs.dir, { frontend: 'sglang', requests: 400 }));
    await job.pointReached('benchmarking');
    const jobDir = await job.jobDir();
    const connection = join(jobDir, 'connection.json');
    expect((await stat(connection)).mode & 0o777).toBe(0o600);
    expect((await stat(join(jobDir, '.credentials'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(jobDir, '.credentials/agent-node1.json'))).mode & 0o777).toBe(0o600);
    const { operatorSeed } = JSON.parse(await readFile(connection, 'utf8')) as { operatorSeed: string };
    job.child.kill('SIGINT');
    expect(await job.ended()).toBe(130);
    await expect(stat(connection)).rejects.toThrow();
    await expect(stat(join(jobDir, '.credentials'))).rejects.toThrow();
    expect((await job.results())[0]).toMatchObject({ status: 'interrupted' });
    const log = await readFile(join(jobDir, `logs/sweep_${await job.jobId()}.log`), 'utf8');
    expect(log).not.toContain(operatorSeed);
    await job.nothingLeft();
  }, 90_000);

  it('is stopped by cancel, with its own exit code', async () => {
    const job = await jobs.apply(await writeRecipe(jobs.dir, { frontend: 'sglang', requests: 4_000 }));
    await job.pointReached('benchmarking');
    const cancel = await jobs.start(['cancel', await job.jobDir()]);
    expect(await cancel.ended(), cancel.stderr).toBe(0);
    expect(await job.ended()).toBe(143);
    await job.nothingLeft();
  }, 90_000);
});
