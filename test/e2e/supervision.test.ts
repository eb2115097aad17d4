import { appendFile, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { requirePidNamespace } from '../../src/platform/launch/pid-namespace.ts';
import { exists, until } from '../support/bus.ts';
import { DEFAULT_LIMITS, useJobs } from '../support/jobs.ts';
import { findMarked } from '../support/marked.ts';
import { signal } from '../support/signal.ts';
import { writeRecipe } from './recipe.ts';

/** Whether this machine allows PID namespaces. */
const possible = await requirePidNamespace().then(
  () => true,
  () => false,
);
const jobs = useJobs(DEFAULT_LIMITS);

async function start(
  supervision: string,
  { requests = 20_000, env = {} }: { requests?: number; env?: Record<string, string> } = {},
) {
  const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang', requests });
  await appendFile(recipe, `supervision: ${supervision}\n`);
  return jobs.apply(recipe, { env });
}

describe('supervision', () => {
  it('continues a run without a worker that is not critical, and notes the loss in the result', async () => {
    const job = await start('{ critical: { decode: false } }', { requests: 400 });
    await job.pointReached('benchmarking');
    const { logFile } = await job.reached('benchmark', 'ready');
    await until('requests', async () => /: [1-9]\d* of/.test(await readFile(logFile, 'utf8')));
    signal(await job.pidOf('decode-1-0'), 'SIGKILL');
    expect(await job.ended(), job.said).toBe(0);
    const [result] = await job.results();
    expect(result).toMatchObject({
      status: 'done',
      benchmark: { valid: true },
      lost: [{ process: 'decode-1-0', node: 'node3', signal: 'SIGKILL' }],
    });
    expect(job.stdout).toContain(`lost: ${result?.lost?.[0]?.summary}`);
    await job.nothingLeft();
  }, 90_000);

  it('fails an engine that hangs with running requests', async () => {
    const job = await start('{ hung_after: 2 }', {
      env: { SRTCTL_SIM_HANG_AFTER_REQUESTS: '20' },
    });
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(result?.status).toBe('failed');
    expect(result?.cause?.summary).toMatch(/hung: \d+ requests? running and no new token|unhealthy for 2 s/);
    await job.nothingLeft();
  }, 90_000);

  it.each([
    ['fail', 1],
    ['warn', 0],
  ] as const)(
    'of GPUs that others hold: %s',
    async (policy, code) => {
      const job = await start(`{ on_dirty_node: ${policy} }`, {
        requests: 2,
        env: { SRTCTL_SIM_GPU_HOLDERS: `node2:1:${process.pid}:python3` },
      });
      expect(await job.ended(), job.said).toBe(code);
      const says = `node2: GPU 1 by python3 (pid ${process.pid} of `;
      expect(job.said).toContain(says);
      if (policy === 'warn') return;
      expect(job.said).toContain('what to do: end them');
      expect(await job.results()).toEqual([]);
    },
    120_000,
  );

  it.skipIf(!possible)(
    'puts each agent and its processes into a PID namespace that ends with it',
    async () => {
      const job = await start('{ pid_namespace: true, relaunch_agents: false }');
      await job.pointReached('benchmarking');
      const mark = `SRTCTL_JOB=${await job.jobId()}`;
      const pids = (await findMarked([mark])).get(mark) ?? [];
      expect(pids.length).toBeGreaterThanOrEqual(4);
      // It is the first process of the namespace, so the kernel ends everything in the namespace with it.
      signal(await job.ownPid(/(keeper\..*\/node2|srtctl-init.*agent-node2\.json)/), 'SIGKILL');
      expect(await job.ended(), job.said).toBe(1);
      expect((await job.results())[0]).toMatchObject({ status: 'failed', cause: { node: 'node2' } });
      await until('all of them to end', () => !pids.some(exists));
      await job.nothingLeft();
    },
    90_000,
  );
});
