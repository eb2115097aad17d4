import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { until } from '../support/bus.ts';
import type { RunningJob } from '../support/job.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';
import { expectWhole } from './whole.ts';

const jobs = useJobs();

interface Over {
  readonly requests?: number;
  readonly restart?: unknown;
  readonly experiment?: unknown;
  readonly critical?: boolean;
  readonly health_check?: unknown;
}

/** Two aggregated workers behind SGLang's router. */
async function recipe({ requests = 60, restart, critical = false, ...over }: Over): Promise<string> {
  const file = join(jobs.dir, 'recipe.yaml');
  await writeFile(
    file,
    stringify({
      name: 'restarts',
      model: { path: 'test-model', container: 'test-image', precision: 'fp8' },
      resources: { gpu_type: 'h100', gpus_per_node: 4, agg_nodes: 1, agg_workers: 2, gpus_per_agg: 2 },
      ...(restart === undefined ? {} : { roles: { agg: { restart } } }),
      supervision: { critical: { agg: critical } },
      frontend: { type: 'sglang', enable_multiple_frontends: false },
      backend: { type: 'sglang', sglang_config: { aggregated: { 'served-model-name': 'm' } } },
      benchmark: {
        ...{ type: 'sa-bench', isl: 64, osl: 32, concurrencies: '4', req_rate: 40 },
        ...{ num_prompts_mult: requests, num_warmup_mult: 1 },
      },
      ...over,
    }),
  );
  return file;
}

const restartsIn = async (job: RunningJob) =>
  (await job.events()).flatMap((event) => (event.kind === 'worker.restart' ? [event] : []));

const restarting = (job: RunningJob, to: string, restart = 1) =>
  until(
    `restart ${restart} ${to}`,
    async () => (await restartsIn(job)).find((event) => event.to === to && event.restart === restart),
    60_000,
  );

describe('a worker that ends while requests are measured', () => {
  it('starts again in its place, serves again, and is counted', async () => {
    const job = await jobs.apply(
      await recipe({
        requests: 150,
        restart: { policy: 'on-failure', backoff_seconds: 0.5 },
        experiment: { accept_restarts: true },
      }),
    );
    await job.measuring();
    signal(await job.pidOf('agg-1-0'), 'SIGKILL');
    const back = await restarting(job, 'ready');
    expect(await job.ended(), job.said).toBe(0);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'done', benchmark: { valid: true } });
    expect(result?.lost).toBeUndefined();
    expect(result?.worker_restarts).toMatchObject([
      {
        ...{ endpoint: 'agg-1', process: 'agg-1-0', node: 'node1', restart: 1, signal: 'SIGKILL' },
        ...{ delayMs: 500, backAfterMs: expect.any(Number), measured: true },
      },
    ]);
    expect(existsSync(back.logFile)).toBe(true);
    expect(back.logFile).toMatch(/node1_agg_w1\.out\.1$/);
    // The router uses it again: its engine has measured requests.
    const [, second] = await job.pidsOf('agg-1-0');
    expect(second).toBeDefined();
    const status = jobs.run(job.outputs, ['status', 'latest', '--json']);
    expect(JSON.parse(status.stdout).restarts).toMatchObject([
      { endpoint: 'agg-1', to: 'ready', restart: 1, most: 3 },
    ]);
    expect(job.said).toContain('restarted: agg-1-0 (worker on node1) failed: ended by SIGKILL; ready');
    expectWhole(await job.events());
    await job.nothingLeft();
  }, 180_000);

  it('makes the result invalid, unless the recipe accepts that', async () => {
    const job = await jobs.apply(
      await recipe({ requests: 60, restart: { policy: 'always', backoff_seconds: 0.5 } }),
    );
    await job.measuring();
    signal(await job.pidOf('agg-0-0'), 'SIGKILL');
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'failed', benchmark: { valid: false } });
    expect(result?.benchmark?.reason).toContain('a worker started again while requests were measured');
    await job.nothingLeft();
  }, 180_000);

  it('fails the point of a critical role when it has started again as often as it may', async () => {
    const job = await jobs.apply(
      await recipe({
        requests: 5_000,
        critical: true,
        restart: { policy: 'on-failure', max_restarts: 1, backoff_seconds: 0.2 },
        experiment: { accept_restarts: true },
      }),
    );
    await job.measuring();
    signal(await job.pidOf('agg-1-0'), 'SIGKILL');
    await restarting(job, 'ready');
    signal((await job.pidsOf('agg-1-0'))[1], 'SIGKILL');
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(result?.cause).toMatchObject({ process: 'agg-1-0', signal: 'SIGKILL' });
    expect(result?.cause?.summary).toContain('it has started again 1 of 1 time (max_restarts)');
    expect(result?.worker_restarts).toHaveLength(1);
    await job.nothingLeft();
  }, 180_000);

  it('starts again under the next coordinator when its coordinator is killed during the pause', async () => {
    const job = await jobs.apply(
      await recipe({
        requests: 300,
        restart: { policy: 'on-failure', backoff_seconds: 12 },
        experiment: { accept_restarts: true },
      }),
    );
    await job.measuring();
    signal(await job.pidOf('agg-1-0'), 'SIGKILL');
    const waiting = await restarting(job, 'waiting');
    const { coordinatorPid } = await job.state();
    signal(coordinatorPid, 'SIGKILL');
    await restarting(job, 'ready');
    expect(await job.ended(), job.said).toBe(0);
    expect(await job.state()).toMatchObject({ epoch: 2, exitCode: 0 });
    const events = await restartsIn(job);
    expect(events.map(({ to, restart }) => [to, restart])).toEqual([
      ['waiting', 1],
      ['starting', 1],
      ['ready', 1],
    ]);
    const pause = Date.parse(events[1]?.startedAt ?? '') - Date.parse(waiting.endedAt);
    expect(pause).toBeGreaterThanOrEqual(12_000);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'done', worker_restarts: [{ endpoint: 'agg-1', restart: 1 }] });
    // The other processes were left alone.
    expect(await job.pidsOf('agg-0-0')).toHaveLength(1);
    expectWhole(await job.events());
    await job.nothingLeft();
  }, 180_000);
});

describe('an experiment with a kill', () => {
  it('kills the worker on schedule, which starts again; rates over time are in the result', async () => {
    const job = await jobs.apply(
      await recipe({
        requests: 200,
        restart: { policy: 'on-failure', backoff_seconds: 0.5 },
        experiment: { kill: [{ role: 'agg', index: 1, at: '2s' }] },
      }),
    );
    expect(await job.ended(), job.said).toBe(0);
    const [result] = await job.results();
    expect(result).toMatchObject({
      status: 'done',
      benchmark: { valid: true },
      worker_kills: [{ endpoint: 'agg-1', process: 'agg-1-0', signal: 'KILL', after: 2, done: true }],
      worker_restarts: [{ endpoint: 'agg-1', signal: 'SIGKILL', measured: true }],
    });
    const [serving] = result?.benchmark?.serving ?? [];
    const sum = (list: readonly number[] = []) => list.reduce((all, one) => all + one, 0);
    expect(sum(serving?.rates?.completed)).toBe(serving?.completed);
    expect(sum(serving?.rates?.failed)).toBe(serving?.failed);
    expect(Math.round(sum(serving?.rates?.outputTokens))).toBeCloseTo(serving?.outputTokens ?? 0, -3);
    expect(jobs.run(job.outputs, ['results', 'latest']).stdout).toMatch(/out tok\/s +\S/);
    await job.nothingLeft();
  }, 180_000);

  it.each([
    [{ kill: [{ role: 'agg', index: 2, at: 1 }] }, 'the recipe has 2 agg workers'],
    [{ kill: [{ role: 'agg', index: 0, at: 1 }] }, 'whose end fails the point'],
  ])('is refused when it cannot be done: %o', async (experiment, says) => {
    const job = await jobs.apply(await recipe({ critical: true, experiment }));
    expect(await job.ended()).toBe(2);
    expect(job.stderr).toContain(says);
    expect(job.stderr).toMatch(/recipe\.yaml:\d+/);
  });
});
