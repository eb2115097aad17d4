import { expect, it } from 'vitest';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { aggregated, ENGINES } from './support/router-recipes.ts';

const RUN_MS = 180_000;
/** Seconds of the measured window at which each worker is killed. */
const FIRST = 3;
const SECOND = 22;
const BACKOFF = 5;

describeReal("SGLang's router and a worker that starts again", ['routers'], () => {
  const jobs = useRealJobs({ python: 'routers', modules: ENGINES });

  it(
    'sends it requests again: it alone answers when the other one is killed',
    async () => {
      const job = await jobs.apply(
        aggregated({
          ...{ type: 'sglang', model: jobs.dir },
          // Its circuit would stay open for a minute, and its health checks are a minute apart.
          args: { 'cb-timeout-duration-secs': 1, 'health-check-interval-secs': 1 },
          benchmark: { concurrencies: '8', req_rate: 20, num_prompts_mult: 85 },
          rest: {
            supervision: { critical: { agg: false } },
            roles: {
              agg: {
                restart: {
                  ...{ policy: 'on-failure', backoff_seconds: BACKOFF, max_backoff_seconds: BACKOFF },
                },
              },
            },
            experiment: {
              kill: [
                { role: 'agg', index: 1, at: FIRST },
                { role: 'agg', index: 0, at: SECOND },
              ],
            },
          },
        }),
      );
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      expect(result).toMatchObject({
        status: 'done',
        benchmark: { valid: true },
        worker_kills: [
          { process: 'agg-1-0', done: true },
          { process: 'agg-0-0', done: true },
        ],
        worker_restarts: [
          { process: 'agg-1-0', signal: 'SIGKILL', restart: 1, measured: true },
          { process: 'agg-0-0', signal: 'SIGKILL', restart: 1, measured: true },
        ],
      });
      const [first, second] = result?.worker_restarts ?? [];
      const back = Date.parse(first?.at ?? '') + (first?.backAfterMs ?? Number.POSITIVE_INFINITY);
      expect(back).toBeLessThan(Date.parse(second?.at ?? ''));
      expect(second?.delayMs).toBe(BACKOFF * 1_000);
      const { rates } = result?.benchmark?.serving[0] ?? {};
      // The other worker has ended by then, and waits until it starts again.
      const alone = rates?.completed.slice(SECOND + 1, SECOND + BACKOFF) ?? [];
      expect(alone.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
      await job.nothingLeft();
    },
    RUN_MS,
  );
});
