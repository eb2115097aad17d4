import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { signal } from '../support/signal.ts';
import { dynamoRecipe, expectExact } from './support/dynamo-recipe.ts';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { strangerOn } from './support/stranger.ts';
import { tinyModel } from './support/tiny-model.ts';

const MOCKER = /dynamo\.mocker/;

describeReal('faults of Dynamo', ['dynamo'], () => {
  const jobs = useRealJobs({ python: 'dynamo' });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'dynamo');
  }, 60_000);

  /** Two points on the same deployment; the first one is long enough to inject a fault. */
  const twoPoints = (change: Parameters<typeof dynamoRecipe>[1] = {}) =>
    dynamoRecipe(model, {
      backend: { speedup_ratio: 1 },
      benchmark: { num_prompts_mult: '{requests}' },
      sweep: { requests: [600, 6] },
      ...change,
    });

  describe('a fault in the first of two points', () => {
    it.each([
      ['a killed frontend', /dynamo\.frontend/, /frontend-0.*SIGKILL/],
      ['a killed etcd', /etcd --name/, /etcd.*SIGKILL/],
    ])(
      '%s is the cause, and the next point is valid',
      async (_, title, cause) => {
        const job = await jobs.apply(twoPoints());
        await job.benchmarking();
        await job.hurt(title, 'SIGKILL');
        expect(await job.ended(), job.said).toBe(3);
        const [first, second] = await job.results();
        expect(first).toMatchObject({ status: 'failed' });
        expect(first?.cause?.summary).toMatch(cause);
        expectExact(second);
        await job.nothingLeft();
      },
      240_000,
    );

    it('a killed nats-server is started again, and both points are valid', async () => {
      const job = await jobs.apply(twoPoints());
      await job.benchmarking();
      await job.hurt(/nats-server/, 'SIGKILL');
      expect(await job.ended(), job.said).toBe(0);
      expect((await job.results()).map((result) => result.benchmark?.valid)).toEqual([true, true]);
      await job.nothingLeft();
    }, 300_000);

    it('a hung worker is the cause, and the next point is valid', async () => {
      const job = await jobs.apply(twoPoints({ supervision: { unhealthy_after: 10, hung_after: 20 } }));
      await job.benchmarking();
      await job.hurt(MOCKER, 'SIGSTOP');
      expect(await job.ended(), job.said).toBe(3);
      const [first, second] = await job.results();
      expect(first?.cause?.summary).toMatch(/agg-/);
      expectExact(second);
      await job.nothingLeft();
    }, 300_000);
  });

  it('Ctrl-C ends every process', async () => {
    const job = await jobs.apply(twoPoints());
    await job.benchmarking();
    job.child.kill('SIGINT');
    expect(await job.ended()).toBe(130);
    await job.nothingLeft();
  }, 180_000);

  it('nothing is left when agent and guard are killed together', async () => {
    const job = await jobs.apply(twoPoints());
    await job.benchmarking();
    const agent = await job.processOf(/node-agent\.js|agent-node1/);
    const guards = job.processes().filter(({ title, ppid }) => /guard/.test(title) && ppid === agent.pid);
    for (const { pid } of [agent, ...guards]) signal(pid, 'SIGKILL');
    expect(await job.ended(), job.said).toBeGreaterThan(0);
    await job.nothingLeft();
  }, 300_000);

  it('a port in use is reported before anything starts, with its holder', async () => {
    const job = await jobs.apply(dynamoRecipe(model), {
      env: await strangerOn(18_000, jobs.dir),
      args: ['--port', '18000'],
    });
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(result?.status).toBe('failed');
    expect(result?.cause?.summary).toMatch(/port 18000 .*taken by pid \d+/);
    expect(await job.transitions('benchmark')).toEqual([]);
    await job.nothingLeft();
  }, 120_000);

  it('a foreign server that takes the port while workers load is never measured', async () => {
    const job = await jobs.apply(dynamoRecipe(model), {
      env: await strangerOn(18_000, jobs.dir, /dynamo\.mocker/),
      args: ['--port', '18000'],
    });
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(result?.cause?.summary).toMatch(/18000.*frontend-0|frontend-0.*18000/);
    expect(await job.transitions('benchmark')).toEqual([]);
    await job.nothingLeft();
  }, 120_000);

  it('a directory without a model is the cause', async () => {
    const empty = join(jobs.dir, 'empty');
    mkdirSync(empty, { recursive: true });
    writeFileSync(join(empty, 'config.json'), '{}');
    const job = await jobs.apply(
      dynamoRecipe(empty, { health_check: { max_attempts: 4, interval_seconds: 5 } }),
    );
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(result?.status).toBe('failed');
    expect(result?.cause?.process, JSON.stringify(result?.cause)).toMatch(/^(agg|frontend)-/);
    await job.nothingLeft();
  }, 180_000);
});
