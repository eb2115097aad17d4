import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { exists, until } from '../support/bus.ts';
import { type RunningJob, startJob } from '../support/job.ts';
import { writeRecipe } from './recipe.ts';

let dir: string;
let job: RunningJob | undefined;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
afterEach(async () => {
  await job?.destroy();
  job = undefined;
});

/** A run in the middle of a benchmark that would take minutes. */
async function inBenchmark(frontend: 'sglang' | 'dynamo' = 'sglang', requests = 20_000): Promise<RunningJob> {
  const recipe = await writeRecipe(dir, { frontend, requests });
  job = await startJob(['apply', '-f', recipe, '--local', '--mock'], {
    SRTCTL_SIM_LOAD_MS: '100',
    SRTCTL_SIM_SPEED: '10',
  });
  await job.pointReached('benchmarking');
  const { logFile } = await job.reached('benchmark', 'ready');
  await until('the benchmark to say something', async () => (await readFile(logFile, 'utf8')) !== '');
  return job;
}
const pidOf = async (running: RunningJob, process: string): Promise<number> =>
  (await running.reached(process, 'ready')).pid ?? 0;

async function pidOfNats(running: RunningJob): Promise<number> {
  const jobId = (await running.jobDir()).split('/').at(-1) ?? '';
  const line = (await running.leftovers()).find(
    (text) => text.includes('nats-server') && text.includes(jobId),
  );
  return Number(line?.match(/process (\d+)/)?.[1]);
}
async function pidOfAgent(running: RunningJob, node: string): Promise<number> {
  const line = (await running.leftovers()).find((text) => text.includes(`agent-${node}.json`));
  return Number(line?.match(/process (\d+)/)?.[1]);
}

async function endsCleanly(running: RunningJob): Promise<void> {
  expect(await running.ended(), running.stdout + running.stderr).toBe(1);
  await until('nothing of the job left', async () => (await running.leftovers()).length === 0, 5_000);
}

const whyOf = (running: RunningJob): string =>
  execFileSync(process.execPath, ['dist/srtctl.js', 'why', '--output', running.outputs], {
    encoding: 'utf8',
  });

describe('kill -9 in mid-benchmark', () => {
  it.each([
    ['a prefill worker', 'prefill-0-0', 'sglang'],
    ['a decode worker', 'decode-1-0', 'sglang'],
    ['the router', 'frontend-0', 'sglang'],
    ['the benchmark', 'benchmark', 'sglang'],
    ['etcd', 'etcd', 'dynamo'],
    ['a dynamo worker', 'decode-0-0', 'dynamo'],
    ['the dynamo frontend', 'frontend-0', 'dynamo'],
  ] as const)(
    'of %s: the run ends with the cause named and nothing left',
    async (_, process_, frontend) => {
      const running = await inBenchmark(frontend);
      process.kill(await pidOf(running, process_), 'SIGKILL');
      await endsCleanly(running);
      const [result] = await running.results();
      expect(result).toMatchObject({ status: 'failed', cause: { process: process_, signal: 'SIGKILL' } });
      expect(result?.cause?.summary).toContain(process_);
      expect(result?.cause?.logTail?.length).toBeGreaterThan(0);
      expect(result?.cause?.logTail?.length).toBeLessThanOrEqual(50);
      expect(running.stdout + running.stderr).toContain(result?.cause?.summary);
      expect(whyOf(running)).toContain(result?.cause?.summary);
    },
    90_000,
  );

  it('is not needed: an agent that only freezes is noticed by its silence', async () => {
    const running = await inBenchmark();
    const pid = await pidOfAgent(running, 'node3');
    process.kill(pid, 'SIGSTOP');
    expect(await running.ended(), running.stdout + running.stderr).toBe(1);
    await until('nothing of the job left', async () => (await running.leftovers()).length === 0, 5_000);
    expect((await running.results())[0]).toMatchObject({ status: 'failed', cause: { node: 'node3' } });
  }, 90_000);

  it('of an agent: the run ends with the cause named and nothing left', async () => {
    const running = await inBenchmark();
    process.kill(await pidOfAgent(running, 'node2'), 'SIGKILL');
    await endsCleanly(running);
    const [result] = await running.results();
    expect(result).toMatchObject({ status: 'failed', cause: { node: 'node2' } });
    expect(result?.cause?.summary).toMatch(/agent of node2/);
  }, 90_000);

  it('of nats-server, as often as it comes back: the run ends with the cause named and nothing left', async () => {
    const running = await inBenchmark();
    let killed = 0;
    void (async () => {
      for (let last = 0; killed < 12 && running.child.exitCode === null; ) {
        const pid = await pidOfNats(running).catch(() => Number.NaN);
        if (pid > 0 && pid !== last) {
          last = pid;
          killed++;
          // It may have ended by itself since it was found.
          if (exists(pid)) process.kill(pid, 'SIGKILL');
        }
      }
    })().catch(() => undefined);
    await endsCleanly(running);
    expect((await running.results())[0]).toMatchObject({ status: 'failed' });
    expect(running.stdout + running.stderr).toContain('nats-server ended');
  }, 120_000);

  it('of nats-server: it is started again, nothing is stopped, and the result is whole', async () => {
    const running = await inBenchmark('sglang', 400);
    const pids = await Promise.all(
      ['prefill-0-0', 'decode-0-0', 'frontend-0'].map((id) => pidOf(running, id)),
    );
    process.kill(await pidOfNats(running), 'SIGKILL');
    await until('a new nats-server', () => pidOfNats(running).then((pid) => pid > 0));
    expect(pids.filter(exists)).toEqual(pids);
    expect(await running.ended(), running.stdout + running.stderr).toBe(0);
    expect((await running.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
    await until('nothing of the job left', async () => (await running.leftovers()).length === 0, 5_000);
  }, 120_000);

  it('of apply itself: the coordinator stops the run', async () => {
    const running = await inBenchmark();
    running.child.kill('SIGKILL');
    await until('nothing of the job left', async () => (await running.leftovers()).length === 0, 20_000);
    expect(await running.state()).toMatchObject({ sweep: 'finished', exitCode: 143 });
  }, 90_000);
});

describe('a deployment that does not come up', () => {
  it('names the process that failed to start, before any benchmark', async () => {
    const recipe = await writeRecipe(dir, { frontend: 'sglang' });
    job = await startJob(['apply', '-f', recipe, '--local', '--mock'], {
      SRTCTL_SIM_LOAD_MS: '100',
      SRTCTL_SIM_CRASH_AFTER_MS: '50',
    });
    await endsCleanly(job);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'failed', benchmarkStartedAt: null, cause: { exitCode: 1 } });
    expect(result?.cause?.logTail?.join('\n')).toContain('Traceback');
    expect(result?.cause?.error).toMatch(/Error/);
    expect(whyOf(job)).toContain(`error: ${result?.cause?.error}`);
  }, 60_000);
});
