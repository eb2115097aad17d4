import { describe, expect, it } from 'vitest';
import { exists, until } from '../support/bus.ts';
import type { RunningJob } from '../support/job.ts';
import { DEFAULT_LIMITS, useJobs } from '../support/jobs.ts';
import { endIfThere, signal } from '../support/signal.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs(DEFAULT_LIMITS);

/** A run in the middle of a benchmark that would take minutes. */
const inBenchmark = async (frontend: 'sglang' | 'dynamo' = 'sglang', requests = 20_000) =>
  jobs.inBenchmark(await writeRecipe(jobs.dir, { frontend, requests }));

async function fails(job: RunningJob): Promise<void> {
  expect(await job.ended(), job.said).toBe(1);
  await job.nothingLeft();
}

const natsPid = (job: RunningJob): Promise<number> => job.ownPid('nats-server');

const whyOf = (job: RunningJob): string => jobs.run(job.outputs, ['why', '--output', job.outputs]).stdout;

describe('kill -9 during a benchmark', () => {
  it.each([
    ['a prefill worker', 'prefill-0-0', 'sglang'],
    ['a decode worker', 'decode-1-0', 'sglang'],
    ['the router', 'frontend-0', 'sglang'],
    ['the benchmark', 'benchmark', 'sglang'],
    ['etcd', 'etcd', 'dynamo'],
    ['a dynamo worker', 'decode-0-0', 'dynamo'],
    ['the dynamo frontend', 'frontend-0', 'dynamo'],
  ] as const)(
    'of %s: the run ends, names the cause and leaves nothing',
    async (_, process_, frontend) => {
      const job = await inBenchmark(frontend);
      signal(await job.pidOf(process_), 'SIGKILL');
      await fails(job);
      const [result] = await job.results();
      expect(result).toMatchObject({ status: 'failed', cause: { process: process_, signal: 'SIGKILL' } });
      expect(result?.cause?.summary).toContain(process_);
      expect(result?.cause?.logTail?.length).toBeGreaterThan(0);
      expect(result?.cause?.logTail?.length).toBeLessThanOrEqual(50);
      expect(job.said).toContain(result?.cause?.summary);
      expect(whyOf(job)).toContain(result?.cause?.summary);
    },
    90_000,
  );

  it('of no process: the silence of a frozen agent is noticed', async () => {
    const job = await inBenchmark();
    signal(await job.agentPid('node3'), 'SIGSTOP');
    await fails(job);
    expect((await job.results())[0]).toMatchObject({ status: 'failed', cause: { node: 'node3' } });
  }, 90_000);

  it('of an agent: the run ends, names the cause and leaves nothing', async () => {
    const job = await inBenchmark();
    signal(await job.agentPid('node2'), 'SIGKILL');
    await fails(job);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'failed', cause: { node: 'node2' } });
    expect(result?.cause?.summary).toMatch(/agent of node2/);
  }, 90_000);

  it('of nats-server, each time it returns: the run ends, names the cause and leaves nothing', async () => {
    const job = await inBenchmark();
    let killed = 0;
    void (async () => {
      for (let last = 0; killed < 30 && job.child.exitCode === null; ) {
        const pid = await natsPid(job).catch(() => Number.NaN);
        if (pid > 0 && pid !== last) {
          last = pid;
          killed++;
          endIfThere(pid);
        }
      }
    })().catch(() => undefined);
    await fails(job);
    expect((await job.results())[0]).toMatchObject({ status: 'failed' });
    expect(job.said).toContain('nats-server ended');
  }, 120_000);

  it('of nats-server: it is started again, nothing is stopped, and the result is complete', async () => {
    const job = await inBenchmark('sglang', 400);
    const pids = await Promise.all(['prefill-0-0', 'decode-0-0', 'frontend-0'].map((id) => job.pidOf(id)));
    const nats = await natsPid(job);
    signal(nats, 'SIGKILL');
    await until('a new nats-server', () => natsPid(job).then((pid) => pid > 0 && pid !== nats));
    expect(pids.filter(exists)).toEqual(pids);
    expect(await job.ended(), job.said).toBe(0);
    expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
    await job.nothingLeft();
  }, 120_000);

  it('of apply itself: the coordinator stops the run', async () => {
    const job = await inBenchmark();
    job.child.kill('SIGKILL');
    await job.nothingLeft();
    expect(await job.state()).toMatchObject({ sweep: 'finished', exitCode: 143 });
  }, 90_000);
});

describe('a deployment that does not become ready', () => {
  it('names the process that failed to start, before any benchmark', async () => {
    const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang' });
    const job = await jobs.apply(recipe, { env: { SRTCTL_SIM_CRASH_AFTER_MS: '50' } });
    await fails(job);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'failed', benchmarkStartedAt: null, cause: { exitCode: 1 } });
    expect(result?.cause?.logTail?.join('\n')).toContain('Traceback');
    expect(result?.cause?.error).toMatch(/Error/);
    expect(whyOf(job)).toContain(`error: ${result?.cause?.error}`);
  }, 120_000);
});
