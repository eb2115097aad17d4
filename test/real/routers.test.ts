import { expect, it } from 'vitest';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { aggregated, disaggregated, ENGINES, ROUTER_TITLE, wentWell } from './support/router-recipes.ts';

const RUN_MS = 120_000;

describeReal("SGLang's router", ['routers'], () => {
  const jobs = useRealJobs({ python: 'routers', modules: ENGINES });

  it(
    'in front of a prefill and two decode workers answers every request',
    async () => {
      const job = await jobs.apply(disaggregated({ type: 'sglang', model: jobs.dir }));
      await wentWell(job);
      const ready = (await job.transitions('frontend-0')).find(({ to }) => to === 'ready');
      expect(ready?.why).toMatch(/1 of 1 prefill workers, 2 of 2 decode workers/);
    },
    RUN_MS,
  );

  it(
    'removes a worker: the wait ends at once, with that reason',
    async () => {
      const patient = { interval_seconds: 60, max_attempts: 10 };
      const args = { 'worker-startup-timeout-secs': 2 };
      const own = { type: 'sglang', model: jobs.dir, args, rest: { health_check: patient } } as const;
      const job = await jobs.apply(aggregated(own), { env: { SRTCTL_SIM_LOAD_MS: '600000' } });
      expect(await job.ended(), job.said).not.toBe(0);
      const [point] = await job.results();
      expect(point?.cause?.summary).toMatch(
        /frontend-0.*Failed job: type=AddWorker, worker=http:\/\/\S+:\d+/,
      );
      await job.nothingLeft();
    },
    RUN_MS,
  );

  it(
    'is killed during the benchmark: the point fails because of it, and nothing is left',
    async () => {
      const benchmark = { concurrencies: '4', num_prompts_mult: 10_000 };
      const job = await jobs.apply(aggregated({ type: 'sglang', model: jobs.dir, benchmark }));
      await job.benchmarking();
      await job.hurt(ROUTER_TITLE, 'SIGKILL');
      expect(await job.ended(), job.said).not.toBe(0);
      const [point] = await job.results();
      expect(point).toMatchObject({ status: 'failed', cause: { process: 'frontend-0', signal: 'SIGKILL' } });
      await job.nothingLeft();
    },
    RUN_MS,
  );
});

describeReal('smg', ['routers'], () => {
  const jobs = useRealJobs({ python: 'routers', modules: ENGINES });
  it(
    'in front of two aggregated workers answers every request',
    async () => {
      const job = await jobs.apply(aggregated({ type: 'smg', model: jobs.dir }));
      await wentWell(job);
    },
    RUN_MS,
  );
});

describeReal("vLLM's router", ['routers'], () => {
  const jobs = useRealJobs({ python: 'routers', modules: ENGINES });
  it(
    'in front of two aggregated workers answers every request',
    async () => {
      const job = await jobs.apply(aggregated({ type: 'vllm-router', model: jobs.dir }));
      await wentWell(job);
    },
    RUN_MS,
  );
});
