import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { debianLibraries, describeReal, programOf } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import {
  aggregated,
  disaggregated,
  ENGINES,
  type RouterType,
  routerTypes,
  severalRouters,
  vllmDisaggregated,
  wentWell,
} from './support/router-recipes.ts';

const RUN_MS = 180_000;
const policies: Readonly<Record<RouterType, readonly string[]>> = {
  sglang: ['random', 'cache_aware', 'power_of_two'],
  smg: ['random', 'cache_aware', 'power_of_two', 'least_load', 'consistent_hashing', 'prefix_hash'],
  'vllm-router': ['random', 'cache_aware', 'power_of_two', 'consistent_hash'],
};
/** Routers that send a request to a prefill and a decode worker of SGLang at once. */
const forPairs = ['sglang', 'smg'] as const;

describeReal('real routers', ['routers', 'debian'], () => {
  const jobs = useRealJobs({ python: 'routers', modules: ENGINES });

  it.each(forPairs)(
    '%s in front of prefill and decode workers',
    (type) => jobs.apply(disaggregated({ type, model: jobs.dir })).then((job) => wentWell(job)),
    RUN_MS,
  );

  it.each(routerTypes.flatMap((type) => policies[type].map((policy) => [type, policy] as const)))(
    '%s with the policy %s',
    (type, policy) =>
      jobs.apply(aggregated({ type, model: jobs.dir, args: { policy } })).then((job) => wentWell(job)),
    RUN_MS,
  );

  it.each([
    ['sglang', { 'dp-aware': true }],
    ['smg', { 'dp-aware': true }],
    ['vllm-router', { 'intra-node-data-parallel-size': 2, 'api-key': 'none' }],
  ] as const)(
    '%s aware of data parallelism: a worker counts once, however many ranks it lists',
    async (type, args) => {
      const options = { 'dp-size': 2, 'enable-dp-attention': true };
      const job = await jobs.apply(aggregated({ type, model: jobs.dir, args, options }));
      await wentWell(job);
      const ready = (await job.transitions('frontend-0')).find(({ to }) => to === 'ready');
      expect(ready?.why).toContain('2 of 2 agg workers');
    },
    RUN_MS,
  );

  it.each(routerTypes)(
    '%s waits for workers that load for longer than one of its health checks',
    async (type) => {
      const job = await jobs.apply(aggregated({ type, model: jobs.dir }), {
        env: { SRTCTL_SIM_LOAD_MS: '8000' },
      });
      await wentWell(job);
    },
    RUN_MS,
  );

  it.each(forPairs)(
    'three of %s behind nginx',
    async (type) => {
      const path = [resolve(programOf('debian', 'nginx'), '..')];
      const job = await jobs.apply(severalRouters({ type, model: jobs.dir }), {
        path,
        env: { LD_LIBRARY_PATH: debianLibraries },
      });
      await job.processOf(/nginx: (master|worker) process/);
      await wentWell(job);
      const routers = [0, 1, 2].map((index) => job.transitions(`frontend-${index}`));
      for (const transitions of await Promise.all(routers))
        expect(transitions.some(({ to }) => to === 'ready')).toBe(true);
    },
    RUN_MS,
  );
});

describeReal("vLLM's router in front of vLLM workers", ['routers'], () => {
  const jobs = useRealJobs({ python: 'routers' });
  let model = '';
  beforeAll(async () => {
    model = join(jobs.dir, 'model');
    await mkdir(model);
  });

  it(
    'sends each request to a prefill worker, and then to a decode worker',
    async () => {
      // A stand-in for the command vllm; python3 stays that of the environment, which comes first on PATH.
      const job = await jobs.apply(vllmDisaggregated(model), { path: [resolve('dist/mock-bin')] });
      await wentWell(job);
      const ready = (await job.transitions('frontend-0')).find(({ to }) => to === 'ready');
      expect(ready?.why).toMatch(/1 of 1 prefill workers, 2 of 2 decode workers/);
    },
    RUN_MS,
  );
});
