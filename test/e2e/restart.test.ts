import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SrtEvent } from '../../src/messages/events/events.ts';
import { exists, until } from '../support/bus.ts';
import { guardsOf } from '../support/guards.ts';
import type { RunningJob } from '../support/job.ts';
import { DEFAULT_LIMITS, useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';
import { writeRecipe } from './recipe.ts';
import { expectWhole } from './whole.ts';

const jobs = useJobs(DEFAULT_LIMITS);

/** A run in the middle of a benchmark. */
const inBenchmark = async (requests: number, env: Record<string, string> = {}) =>
  jobs.inBenchmark(await writeRecipe(jobs.dir, { frontend: 'sglang', requests }), { env });

/** States that a new coordinator passes again until it has adopted the running processes. */
const beforeBenchmark: (string | undefined)[] = ['planned', 'deploying', 'warming'];

async function killCoordinator(job: RunningJob): Promise<number> {
  const { coordinatorPid } = await job.state();
  signal(coordinatorPid, 'SIGKILL');
  return coordinatorPid;
}

/** nats-servers whose configuration is in a job's directory. */
const natsServersIn = (directory: string): number[] =>
  readdirSync('/proc').flatMap((name) => {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return words.includes(join(directory, 'nats.conf')) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });

/** A recipe with two points of different output lengths; `more` is appended to the recipe. */
async function twoPoints(requests: number, more = ''): Promise<string> {
  const file = await writeRecipe(jobs.dir, { frontend: 'sglang', requests });
  const text = await readFile(file, 'utf8');
  await writeFile(file, `${text.replace('osl: 32', 'osl: "{osl}"')}sweep:\n  osl: [16, 32]\n${more}`);
  return file;
}

async function withSpare(recipe: string): Promise<string> {
  const text = await readFile(recipe, 'utf8');
  await writeFile(recipe, text.replace('resources:', 'resources:\n  spare_nodes: 1'));
  return recipe;
}

/** Nodes on which a process became ready. */
async function usedNodes(job: RunningJob): Promise<string[]> {
  const nodes = (await job.events()).flatMap((event) =>
    event.kind === 'process.transition' && event.to === 'ready' ? [event.node] : [],
  );
  return [...new Set(nodes)].sort();
}

/** For NODE_OPTIONS: kills the agent of a node before its first line of code. */
async function killerOf(node: string): Promise<string> {
  const file = join(jobs.dir, 'killer.cjs');
  const condition = `process.argv.some((word) => word.endsWith('/agent-${node}.json'))`;
  await writeFile(file, `if (${condition}) process.kill(process.pid, 'SIGKILL');\n`);
  return file;
}

describe('a coordinator that is killed during a benchmark', () => {
  it('is started again, adopts the running processes, and gets a valid result', async () => {
    const job = await inBenchmark(600);
    const watching = await jobs.start(['watch', '--json', await job.jobDir()]);
    const ids = ['prefill-0-0', 'decode-0-0', 'decode-1-0', 'frontend-0', 'benchmark'];
    const pids = await Promise.all(ids.map((id) => job.pidOf(id)));
    const killed = await killCoordinator(job);
    await until('the next coordinator', async () => {
      const state = await job.state();
      return (
        state.coordinatorPid !== killed &&
        state.epoch === 2 &&
        !beforeBenchmark.includes(state.points[0]?.state)
      );
    });
    expect(pids.filter(exists)).toEqual(pids);
    expect(await job.ended(), job.said).toBe(0);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'done', benchmark: { valid: true } });
    const events = await job.events();
    expectWhole(events);
    // From the first coordinator, not from its successor, which passes the same state again.
    const begun = events.find((event) => event.kind === 'point.transition' && event.to === 'benchmarking');
    expect(result?.benchmarkStartedAt).toBe(begun?.at);
    for (const id of ids)
      expect((await job.transitions(id)).filter(({ from }) => from === 'preparing')).toHaveLength(1);
    // A viewer that followed the whole job has seen every event once.
    expect(await watching.ended()).toBe(0);
    const seen = watching.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as SrtEvent)
      .filter(({ source }) => source !== undefined);
    expect(seen.map(({ source, seq }) => `${source} ${seq}`)).toEqual(
      events.map(({ source, seq }) => `${source} ${seq}`),
    );
    await job.nothingLeft();
  }, 120_000);

  it('finds the benchmark ended when its restart took longer', async () => {
    const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang', requests: 80 });
    // On a busy machine the benchmark takes longer than the ten seconds that agents wait for a coordinator.
    await appendFile(recipe, 'supervision: { lease: 110 }\n');
    const job = await jobs.inBenchmark(recipe);
    const { pid } = await job.reached('benchmark', 'ready');
    // The process that restarts the coordinator must not do so before the benchmark has ended.
    signal(job.child.pid, 'SIGSTOP');
    await killCoordinator(job);
    await until('the end of the benchmark', () => !exists(pid ?? 0));
    signal(job.child.pid, 'SIGCONT');
    expect(await job.ended(), job.said).toBe(0);
    expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
    expectWhole(await job.events());
    await job.nothingLeft();
  }, 120_000);

  it('together with an agent: the point fails, and the next one runs', async () => {
    const job = await jobs.apply(await twoPoints(400));
    await job.pointReached('benchmarking');
    const agent = await job.agentPid('node2');
    await killCoordinator(job);
    signal(agent, 'SIGKILL');
    expect(await job.ended(), job.said).not.toBe(0);
    expect(await job.statuses(), JSON.stringify((await job.results()).map(({ cause }) => cause))).toEqual([
      'failed',
      'done',
    ]);
    const [first] = await job.results();
    expect(first?.cause, JSON.stringify(first?.cause)).toMatchObject({ node: 'node2' });
    expectWhole(await job.events());
    await job.nothingLeft();
  }, 120_000);

  it('right after it has restarted nats-server: the successor finds that server', async () => {
    const job = await inBenchmark(600);
    const directory = (await job.state()).home?.directory ?? '';
    const servers = () => natsServersIn(directory);
    const [first = 0] = servers();
    signal(first, 'SIGKILL');
    await until('the next server', () => servers().some((pid) => pid !== first));
    await killCoordinator(job);
    expect(await job.ended(), job.said).toBe(0);
    expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
    expectWhole(await job.events());
    await job.nothingLeft();
  }, 120_000);

  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    'without a restart and without its guard (%s), leaves nothing',
    async (name) => {
      const job = await inBenchmark(20_000, { SRTCTL_COORDINATOR_RESTARTS: '0' });
      const mark = `SRTCTL_COORDINATOR=${await job.jobId()}/`;
      const [guard = 0] = guardsOf(mark);
      signal(guard, name);
      await until('another guard', () => guardsOf(mark).some((pid) => pid !== guard));
      await until('the old one gone', () => !exists(guard));
      await killCoordinator(job);
      await job.ended();
      await job.nothingLeft();
    },
    90_000,
  );
});

describe('an agent that is killed', () => {
  it('fails its point, and a new agent on its node runs the next', async () => {
    const job = await jobs.apply(await twoPoints(400));
    await job.pointReached('benchmarking');
    signal(await job.agentPid('node2'), 'SIGKILL');
    expect(await job.ended(), job.said).not.toBe(0);
    expect(await job.statuses(), JSON.stringify((await job.results()).map(({ cause }) => cause))).toEqual([
      'failed',
      'done',
    ]);
    const [first] = await job.results();
    expect(first?.cause, JSON.stringify(first?.cause)).toMatchObject({ node: 'node2' });
    const states = (await job.events()).flatMap((event) =>
      event.kind === 'agent.transition' && event.node === 'node2' ? [event] : [],
    );
    // On a busy machine an agent may be silent for a moment: it becomes suspect and joins again.
    const isMoment = ({ from, to }: (typeof states)[number]) =>
      to === 'suspect' || (from === 'suspect' && to === 'joined');
    expect(states.filter((state) => !isMoment(state)).map(({ to }) => to)).toEqual([
      'joined',
      'lost',
      'expected',
      'joined',
      'left',
    ]);
    expectWhole(await job.events());
    await job.nothingLeft();
  }, 120_000);
});

describe('a node that is lost', () => {
  it('is replaced by a spare one, and its point is tried again there', async () => {
    const recipe = await withSpare(await twoPoints(400, 'supervision:\n  lease: 8\n'));
    const job = await jobs.apply(recipe);
    await job.pointReached('benchmarking');
    signal(await job.agentPid('node2'), 'SIGSTOP');
    expect(await job.ended(), job.said).toBe(0);
    expect(await job.statuses()).toEqual(['done', 'done']);
    expect(await usedNodes(job)).toEqual(['node1', 'node2', 'node3', 'node4']);
    await job.nothingLeft();
  }, 120_000);

  it('before its agent says hello is replaced, too', async () => {
    const recipe = await withSpare(await writeRecipe(jobs.dir, { frontend: 'sglang' }));
    const job = await jobs.apply(recipe, { env: { NODE_OPTIONS: `--require=${await killerOf('node2')}` } });
    expect(await job.ended(), job.said).toBe(0);
    expect(await usedNodes(job)).toEqual(['node1', 'node3', 'node4']);
    const begun = (await job.events()).find(
      (event) => event.kind === 'sweep.transition' && event.to === 'running',
    );
    expect(begun).toMatchObject({ why: 'goes on without node2' });
    expectWhole(await job.events());
    await job.nothingLeft();
  }, 120_000);

  it('before its agent says hello ends the run when there is no spare node, and the run says so', async () => {
    const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang' });
    const job = await jobs.apply(recipe, { env: { NODE_OPTIONS: `--require=${await killerOf('node2')}` } });
    expect(await job.ended(), job.said).toBe(1);
    expect(await job.state()).toMatchObject({ cause: { node: 'node2' } });
    expect(job.said).toContain('there is no spare node in its place');
    await job.nothingLeft();
  }, 120_000);
});

describe('an allocation that ends', () => {
  it('before another point could finish: the point is not started, and the exit code shows it', async () => {
    // Time for the first point (unless the machine is busy), and not enough for a second one of the same
    // length.
    const end = Math.ceil(Date.now() / 1_000) + 8 + 12;
    const job = await jobs.apply(await twoPoints(600), { env: { SLURM_JOB_END_TIME: String(end) } });
    expect(await job.ended(), job.said).toBe(124);
    const { points } = await job.state();
    // On a very busy machine there is no time for the first point either, so it is not started.
    expect(['done', 'interrupted', 'planned']).toContain(points[0]?.state);
    expect(points[1]?.state).toBe('planned');
    expect(job.said).toContain('the allocation ends');
    await job.nothingLeft();
  }, 120_000);
});

describe('a coordinator that is frozen', () => {
  it('and replaced, ends by itself when it thaws, and changes nothing', async () => {
    const job = await inBenchmark(600);
    const { coordinatorPid, epoch } = await job.state();
    signal(coordinatorPid, 'SIGSTOP');
    const spec = join(await job.jobDir(), `${await job.jobId()}.json`);
    const next = spawn(process.execPath, ['dist/coordinator.js', spec], { stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => next.once('exit', resolve));
    try {
      await until('the next coordinator', async () => {
        const state = await job.state();
        return state.epoch === epoch + 1 && !beforeBenchmark.includes(state.points[0]?.state);
      });
      signal(coordinatorPid, 'SIGCONT');
      await until('the end of the first', () => !exists(coordinatorPid));
      expect(await ended).toBe(0);
      expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
      expectWhole(await job.events());
      expect(await job.state()).toMatchObject({ epoch: 2, sweep: 'finished', exitCode: 0 });
      await job.nothingLeft();
    } finally {
      next.kill('SIGTERM');
      if (exists(coordinatorPid)) signal(coordinatorPid, 'SIGKILL');
    }
  }, 120_000);
});
