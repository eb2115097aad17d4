import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findMarked } from '../../src/node-agent/marks.ts';
import { requirePidNamespace } from '../../src/slurm/pid-namespace.ts';
import { exists, until } from '../support/bus.ts';
import { type RunningJob, startJob } from '../support/job.ts';
import { writeRecipe } from './recipe.ts';

/** Whether this machine lets us have PID namespaces. */
const possible = await requirePidNamespace().then(
  () => true,
  () => false,
);
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

async function start(
  supervision: string,
  { requests = 20_000, env = {} }: { requests?: number; env?: Record<string, string> } = {},
): Promise<RunningJob> {
  const recipe = await writeRecipe(dir, { frontend: 'sglang', requests });
  await appendFile(recipe, `supervision: ${supervision}\n`);
  job = await startJob(['apply', '-f', recipe, '--local', '--mock'], {
    SRTCTL_SIM_LOAD_MS: '100',
    SRTCTL_SIM_SPEED: '10',
    ...env,
  });
  return job;
}
const nothingLeft = (running: RunningJob) =>
  until('nothing of the job left', async () => (await running.leftovers()).length === 0, 5_000);

describe('supervision', () => {
  it('lets a run go on without a worker that is not critical, and notes the loss in the result', async () => {
    const running = await start('{ critical: { decode: false } }', { requests: 400 });
    await running.pointReached('benchmarking');
    const { logFile } = await running.reached('benchmark', 'ready');
    await until('requests', async () => /: [1-9]\d* of/.test(await readFile(logFile, 'utf8')));
    process.kill((await running.reached('decode-1-0', 'ready')).pid ?? 0, 'SIGKILL');
    expect(await running.ended(), running.stdout + running.stderr).toBe(0);
    const [result] = await running.results();
    expect(result).toMatchObject({
      status: 'done',
      benchmark: { valid: true },
      lost: [{ process: 'decode-1-0', node: 'node3', signal: 'SIGKILL' }],
    });
    expect(running.stdout).toContain(`lost: ${result?.lost?.[0]?.summary}`);
    await nothingLeft(running);
  }, 90_000);

  it('fails an engine that stands still with requests running', async () => {
    const running = await start('{ hung_after: 2 }', {
      env: { SRTCTL_SIM_HANG_AFTER_REQUESTS: '20' },
    });
    expect(await running.ended(), running.stdout + running.stderr).toBe(1);
    const [result] = await running.results();
    expect(result?.status).toBe('failed');
    expect(result?.cause?.summary).toMatch(/hung: \d+ requests? running and no new token/);
    await nothingLeft(running);
  }, 90_000);

  it.each([
    ['fail', 1],
    ['warn', 0],
  ] as const)(
    'of GPUs that others hold: %s',
    async (policy, code) => {
      const running = await start(`{ on_dirty_node: ${policy} }`, {
        requests: 2,
        env: { SRTCTL_SIM_GPU_HOLDERS: `node2:1:${process.pid}:python3` },
      });
      expect(await running.ended(), running.stdout + running.stderr).toBe(code);
      const says = `node2: GPU 1 by python3 (pid ${process.pid} of `;
      expect(running.stdout + running.stderr).toContain(says);
      if (policy === 'warn') return;
      expect(running.stdout + running.stderr).toContain('what to do: end them');
      expect(await running.results()).toEqual([]);
    },
    60_000,
  );

  it.skipIf(!possible)(
    'puts each agent and its processes into a PID namespace that ends with it',
    async () => {
      const running = await start('{ pid_namespace: true, relaunch_agents: false }');
      await running.pointReached('benchmarking');
      const jobId = (await running.jobDir()).split('/').at(-1) ?? '';
      const mark = `SRTCTL_JOB=${jobId}`;
      const pids = (await findMarked([mark])).get(mark) ?? [];
      expect(pids.length).toBeGreaterThanOrEqual(4);
      // Its first process: everything in the namespace ends with it, the kernel sees to that.
      const line = (await running.leftovers()).find((text) => /srtctl-init.*agent-node2\.json/.test(text));
      process.kill(Number(line?.match(/process (\d+)/)?.[1]), 'SIGKILL');
      expect(await running.ended(), running.stdout + running.stderr).toBe(1);
      expect((await running.results())[0]).toMatchObject({ status: 'failed', cause: { node: 'node2' } });
      await until('all of them to end', () => !pids.some(exists));
      await nothingLeft(running);
    },
    90_000,
  );
});
