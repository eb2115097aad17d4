import { describe, expect, it } from 'vitest';
import { signal } from '../support/signal.ts';
import { describeReal } from './support/programs.ts';
import { type RealJob, useRealJobs } from './support/real-jobs.ts';
import {
  aggregated,
  ENGINES,
  ROUTER_TITLE,
  type RouterRecipe,
  type RouterType,
  routerTypes,
} from './support/router-recipes.ts';
import { strangerOn } from './support/stranger.ts';

const RUN_MS = 240_000;

describeReal('faults with a real router', ['routers'], () => {
  const jobs = useRealJobs({ python: 'routers', modules: ENGINES });

  /** Two points on the same deployment; the first one is long enough to inject a fault. */
  const twoPoints = (type: RouterType, rest: object = {}, more: Partial<RouterRecipe> = {}) =>
    aggregated({
      ...{ type, model: jobs.dir },
      benchmark: { concurrencies: '4', num_prompts_mult: '{requests}' },
      rest: { sweep: { requests: [20_000, 3] }, ...rest },
      ...more,
    });

  /** Expects that the first point failed because of `process`, and that the second one is not affected. */
  async function secondIsValid(job: RealJob, process: RegExp): Promise<string> {
    expect(await job.ended(), job.said).toBe(3);
    const [first, second] = await job.results();
    expect(first?.status).toBe('failed');
    expect(first?.cause?.summary).toMatch(process);
    expect(second).toMatchObject({ status: 'done', benchmark: { valid: true } });
    expect(second?.benchmark?.serving).toMatchObject([{ completed: 12, failed: 0, outputTokens: 12 * 16 }]);
    await job.nothingLeft();
    return first?.cause?.summary ?? '';
  }

  describe.each(routerTypes)('%s', (type) => {
    it(
      'a killed worker is the cause, and the next point is valid',
      async () => {
        const job = await jobs.apply(twoPoints(type));
        await job.benchmarking();
        signal(await job.pidOf('agg-1-0'), 'SIGKILL');
        await secondIsValid(job, /agg-1-0 .*SIGKILL/);
      },
      RUN_MS,
    );

    it(
      'a killed router is the cause, and the next point is valid',
      async () => {
        const job = await jobs.apply(twoPoints(type));
        await job.benchmarking();
        await job.hurt(ROUTER_TITLE, 'SIGKILL');
        await secondIsValid(job, /frontend-0 .*SIGKILL/);
      },
      RUN_MS,
    );

    it(
      'a hung worker is the cause, and the next point is valid',
      async () => {
        const job = await jobs.apply(
          twoPoints(type, { supervision: { unhealthy_after: 5, hung_after: 15 } }),
        );
        await job.benchmarking();
        signal(await job.pidOf('agg-0-0'), 'SIGSTOP');
        await secondIsValid(job, /agg-0-0/);
      },
      RUN_MS,
    );

    it(
      'Ctrl-C ends every process',
      async () => {
        const job = await jobs.apply(twoPoints(type));
        await job.benchmarking();
        job.child.kill('SIGINT');
        expect(await job.ended()).toBe(130);
        await job.nothingLeft();
      },
      RUN_MS,
    );

    it(
      'nothing is left when agent and guard are killed together',
      async () => {
        const job = await jobs.apply(twoPoints(type));
        await job.benchmarking();
        const agent = await job.processOf(/node-agent\.js|agent-node1/);
        const guards = job.processes().filter(({ title, ppid }) => /guard/.test(title) && ppid === agent.pid);
        for (const { pid } of [agent, ...guards]) signal(pid, 'SIGKILL');
        expect(await job.ended(), job.said).toBeGreaterThan(0);
        await job.nothingLeft();
      },
      RUN_MS,
    );

    it(
      "an unknown option is the cause, in the router's own words",
      async () => {
        const job = await jobs.apply(aggregated({ type, model: jobs.dir, args: { 'no-such-option': 1 } }));
        expect(await job.ended(), job.said).toBe(1);
        const [point] = await job.results();
        expect(point?.cause).toMatchObject({ process: 'check-options-0', signature: 'wrong-option' });
        expect(point?.cause?.error).toMatch(/unrecognized arguments: .*--no-such-option/);
        await job.nothingLeft();
      },
      RUN_MS,
    );
  });

  it(
    'a port in use is reported before anything starts, with its holder',
    async () => {
      const recipe = aggregated({ type: 'sglang', model: jobs.dir, args: { port: 18_000 } });
      const job = await jobs.apply(recipe, { env: await strangerOn(18_000, jobs.dir) });
      expect(await job.ended(), job.said).toBeGreaterThan(0);
      const [point] = await job.results();
      expect(point?.status).toBe('failed');
      expect(point?.cause?.summary).toMatch(/port 18000 .*taken by pid \d+/);
      expect((await job.transitions('benchmark')).length).toBe(0);
      await job.nothingLeft();
    },
    RUN_MS,
  );
});
