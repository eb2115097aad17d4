import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { type RunningJob, startJob } from '../support/job.ts';
import { writeRecipe } from './recipe.ts';

let dir: string;
const jobs: RunningJob[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
afterEach(async () => {
  await Promise.all(jobs.splice(0).map((job) => job.destroy()));
});

const FAST = { SRTCTL_SIM_LOAD_MS: '100', SRTCTL_SIM_SPEED: '10' };
async function apply(
  recipe: string,
  args: string[] = [],
  env: Record<string, string> = FAST,
): Promise<RunningJob> {
  const job = await startJob(['apply', '-f', recipe, '--local', '--mock', ...args], env);
  jobs.push(job);
  return job;
}

describe('apply --local --mock', () => {
  it.each(['sglang', 'dynamo'] as const)(
    'runs a %s recipe to a valid result and leaves nothing',
    async (frontend) => {
      const job = await apply(await writeRecipe(dir, { frontend, concurrencies: '1x2' }));
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      const [result] = await job.results();
      expect(result).toMatchObject({ status: 'done', cause: null, benchmark: { valid: true } });
      expect(result?.benchmark?.serving.map((entry) => entry.concurrency)).toEqual([1, 2]);
      for (const entry of result?.benchmark?.serving ?? []) {
        expect(entry).toMatchObject({ failed: 0, completed: entry.concurrency * 4 });
        expect(entry.outputTokens).toBeGreaterThan(0);
        expect(entry.ttftMs.mean).toBeGreaterThan(0);
      }
      await until('nothing left', async () => (await job.leftovers()).length === 0, 5_000);
      const state = await job.state();
      expect(state).toMatchObject({ sweep: 'finished', exitCode: 0 });
      // Every event once, in order, from each source.
      const bySource = new Map<string, number[]>();
      for (const event of await job.events())
        bySource.set(event.source, [...(bySource.get(event.source) ?? []), event.seq]);
      for (const seqs of bySource.values()) expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    },
    90_000,
  );

  it('lets two jobs run at once without disturbing each other', async () => {
    const recipe = await writeRecipe(dir, { frontend: 'dynamo' });
    const [a, b] = await Promise.all([apply(recipe), apply(recipe)]);
    expect(await Promise.all([a.ended(), b.ended()]), a.stderr + b.stderr).toEqual([0, 0]);
    for (const job of [a, b]) expect((await job.results())[0]).toMatchObject({ status: 'done' });
  }, 90_000);

  it('keeps secrets in files that only the owner can read, and removes them at the end', async () => {
    const job = await apply(await writeRecipe(dir, { frontend: 'sglang', requests: 400 }));
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
    const log = await readFile(join(jobDir, `logs/sweep_${jobDir.split('/').at(-1)}.log`), 'utf8');
    expect(log).not.toContain(operatorSeed);
    await until('nothing left', async () => (await job.leftovers()).length === 0, 5_000);
  }, 90_000);

  it('is stopped by cancel, with its own exit code', async () => {
    const job = await apply(await writeRecipe(dir, { frontend: 'sglang', requests: 4_000 }));
    await job.pointReached('benchmarking');
    const cancel = await startJob(['cancel', await job.jobDir()]);
    jobs.push(cancel);
    expect(await cancel.ended(), cancel.stderr).toBe(0);
    expect(await job.ended()).toBe(143);
    await until('nothing left', async () => (await job.leftovers()).length === 0, 5_000);
  }, 90_000);
});
