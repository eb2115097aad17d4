import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { trtllm } from '../../../src/backends/trtllm/plan.ts';
import { processIdentity } from '../../../src/node-agent/leftovers/marks.ts';
import type { Transition } from '../../../src/node-agent/processes/entry.ts';
import { ProcessTable } from '../../../src/node-agent/processes/process-table.ts';
import type { Beyond } from '../../../src/node-agent/start/launch.ts';
import { osSpawner } from '../../../src/node-agent/start/spawn.ts';
import { exists, until } from '../../support/bus.ts';
import { findMarked } from '../../support/marked.ts';
import { specOf } from '../../support/spec.ts';

let dir: string;
let table: ProcessTable;
let transitions: Transition[];
let defects: string[];
let guarded: Set<number>;
let mark: string;
let launched: Beyond | undefined;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  transitions = [];
  defects = [];
  guarded = new Set();
  mark = `job/${Math.random()}`;
  launched = undefined;
  table = new ProcessTable({
    spawner: osSpawner,
    guard: {
      began: (group) => guarded.add(group),
      over: (group) => guarded.delete(group),
      dismiss: async () => {},
    },
    launcher: {
      launch: ({ argv, cwd }, env) => ({ argv, cwd, env, beyond: launched }),
      killAllSync: () => {},
    },
    words: { '/head/node': process.execPath },
    agentMark: mark,
    agentId: processIdentity(process.pid),
    jobNode: 'job/node1',
    listenAddress: '127.0.0.1',
    environment: { PATH: process.env.PATH ?? '', SECRET_OF_AGENT: 'inherited' },
    onTransition: (transition) => transitions.push(transition),
    onEmpty: () => {},
    onDefect: (what) => defects.push(what),
  });
});
afterEach(async () => {
  table.killAll();
  await until('nothing is left', () => table.alive === 0 || guarded.size === 0);
  await rm(dir, { recursive: true, force: true });
  expect(defects).toEqual([]);
});

const spec = (over: Parameters<typeof specOf>[0]) => specOf(over, dir);
const statesOf = (id: string) => transitions.filter((entry) => entry.spec.id === id).map((entry) => entry.to);
const last = (id: string) => transitions.filter((entry) => entry.spec.id === id).at(-1);
const reach = (id: string, state: string) => until(`${id} ${state}`, () => last(id)?.to === state);
const pidOf = (id: string) => table.reports().find((report) => report.id === id)?.pid ?? 0;

describe('the process table', () => {
  it('waits for a log that cannot be opened yet, while other processes start', async () => {
    const slow = spec({ id: 'slow', argv: ['sleep', '600'] });
    execFileSync('mkfifo', [slow.logFile]);
    const stopped = { ...spec({ id: 'stopped', argv: ['sleep', '600'] }), logFile: slow.logFile };
    const other = spec({ id: 'other', argv: ['sleep', '600'] });
    table.apply([slow, stopped, other], 1, 'test');
    await reach('other', 'ready');
    table.apply([slow, other], 2, 'test');
    await reach('stopped', 'stopped');
    expect(statesOf('slow')).toEqual(['waiting', 'preparing']);
    const disk = await open(slow.logFile, 'r');
    await reach('slow', 'ready');
    await disk.close();
    expect(statesOf('stopped')).toEqual(['waiting', 'preparing', 'stopped']);
  });

  it('fails a launcher that outlives its server within two seconds of the fatal line', async () => {
    const launcher = join('dist/mock-bin', 'trtllm-llmapi-launch');
    const server = 'echo "ValueError: no such model"; sleep 0.5; echo "Rank0 Task exit code: 1" >&2; exit 1';
    const launched = (id: string, fatalLines: string[]) =>
      spec({ id, argv: ['sh', launcher, 'sh', '-c', server], fatalLines });
    table.apply(
      [launched('watched', trtllm.fatalLines ? [...trtllm.fatalLines] : []), launched('not', [])],
      1,
      'test',
    );
    await reach('watched', 'ready');
    const begin = performance.now();
    await reach('watched', 'failed');
    // On an idle machine 1.1 s.
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(last('watched')?.why).toBe('its log says: Rank0 Task exit code: 1');
    expect(last('not')?.to).toBe('ready');
    // The new pattern counts from now on, for lines that are written from now on.
    table.apply([launched('not', ['Rank0'])], 2, 'test');
    await appendFile(spec({ id: 'not' }).logFile, 'Rank0 is bad\n');
    await reach('not', 'failed');
    expect(last('not')?.why).toBe('its log says: Rank0 is bad');
  });

  it('fails a process whose log has a line that the recipe calls fatal, however long the line is', async () => {
    table.apply([spec({ id: 'worker', fatalPatterns: ['(?i)xid [0-9]+: 79'] })], 1, 'test');
    await reach('worker', 'ready');
    const line = `${'x'.repeat(2_000)} NVRM: Xid 31: 79, gone`;
    await appendFile(spec({ id: 'worker' }).logFile, `xid 12: 7\n${line}\n`);
    await reach('worker', 'failed');
    expect(last('worker')?.why).toMatch(/^its log says: x{500}$/);
  });

  it('considers ranks gone when they are gone from other nodes too', async () => {
    let letGo = () => {};
    const gone = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    launched = { terminate: async () => false, kill: () => gone, over: () => {} };
    table.apply(
      [spec({ id: 'ranks', argv: ['true'], mpi: { tasks: 2, nodes: ['node1', 'node2'] } })],
      1,
      'test',
    );
    await until('srun has ended', () => !exists(pidOf('ranks')));
    expect(statesOf('ranks')).not.toContain('failed');
    letGo();
    await reach('ranks', 'failed');
  });

  it('runs the Node binary of this node when the plan names that of the head', async () => {
    const argv = ['/head/node', '-e', 'process.exit(process.argv0.length > 0 ? 0 : 1)'];
    table.apply([spec({ id: 'step', argv, terminates: true })], 1, 'test');
    await reach('step', 'stopped');
    expect(last('step')?.why).toBe('completed');
  });

  it('detects an engine that hangs, collects its stacks, and fails it', async () => {
    const engine = createServer((_, response) =>
      response.end('sim:running{rank="0"} 1\nsim:running{rank="1"} 2\nsim:tokens_total 7\n'),
    );
    await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve));
    const { port } = engine.address() as AddressInfo;
    try {
      await writeFile(join(dir, 'py-spy'), '#!/bin/sh\necho "Process $3: waits in all_reduce"\n', {
        mode: 0o755,
      });
      const env = { PATH: `${dir}:${process.env.PATH}` };
      const metrics = {
        kind: 'metrics',
        host: '127.0.0.1',
        port,
        path: '/metrics',
        hungAfterMs: 300,
      } as const;
      const progress = { ...metrics, running: ['sim:running'], counters: ['sim:tokens_total'] };
      table.apply([spec({ id: 'engine', env, progress })], 1, 'test');
      await reach('engine', 'failed');
      expect(statesOf('engine').slice(-3)).toEqual(['degraded', 'stopping', 'failed']);
      const stacks = join(dir, 'engine_stacks.txt');
      expect(last('engine')?.why).toMatch(/^hung: 3 requests running and no new token for \d+ s; stacks in /);
      expect(await readFile(stacks, 'utf8')).toContain(`Process ${last('engine')?.pid}: waits in all_reduce`);
    } finally {
      engine.close();
      engine.closeAllConnections();
    }
  });

  it('detects a program that neither prints nor computes, and leaves an active one alone', async () => {
    const watched = (id: string, command: string, hungAfterMs: number) =>
      spec({
        id,
        argv: ['bash', '-c', command],
        terminates: true,
        progress: { kind: 'output', files: [join(dir, `${id}.out`)], hungAfterMs },
      });
    table.apply(
      [
        watched('talks', 'while sleep 0.1; do echo .; done', 4_000),
        watched('computes', 'while :; do :; done', 4_000),
        watched('silent', 'sleep 1000', 6_000),
      ],
      1,
      'test',
    );
    await reach('silent', 'failed');
    expect(last('silent')?.why).toMatch(/^hung: no output and no progress for \d+ s$/);
    expect(last('talks')?.to).toBe('ready');
    expect(last('computes')?.to).toBe('ready');
  });

  it('starts an argv without a shell, with its environment, its mark and its log file', async () => {
    const env = { GREETING: 'a "b" $(touch nothing)' };
    const argv = ['printenv', 'GREETING', 'SECRET_OF_AGENT', 'SRTCTL_AGENT'];
    table.apply([spec({ id: 'one', argv, env, terminates: true })], 1, 'test');
    await reach('one', 'stopped');
    expect(last('one')).toMatchObject({ why: 'completed', exitCode: 0, generation: 1 });
    expect(await readFile(join(dir, 'one.out'), 'utf8')).toBe(`a "b" $(touch nothing)\ninherited\n${mark}\n`);
    expect(statesOf('one')).toEqual(['waiting', 'preparing', 'starting', 'ready', 'stopped']);
  });

  it('keeps unchanged processes, restarts changed ones, and stops those that are no longer wanted', async () => {
    const [keep, change, drop] = [spec({ id: 'keep' }), spec({ id: 'change' }), spec({ id: 'drop' })];
    table.apply([keep, change, drop], 1, 'test');
    for (const id of ['keep', 'change', 'drop']) await reach(id, 'ready');
    const before = { keep: pidOf('keep'), change: pidOf('change'), drop: pidOf('drop') };
    table.apply([structuredClone(keep), { ...change, argv: ['sleep', '999'] }], 2, 'test');
    await until(
      'the changed one anew',
      () => pidOf('change') !== before.change && last('change')?.to === 'ready',
    );
    await until('the dropped one gone', () => !exists(before.drop));
    expect(pidOf('keep')).toBe(before.keep);
    expect(exists(before.change)).toBe(false);
    // The successor waited until its predecessor was gone.
    const order = transitions
      .filter((entry) => entry.spec.id === 'change')
      .map((entry) => `${entry.generation} ${entry.to}`);
    expect(order.indexOf('1 stopped')).toBeLessThan(order.indexOf('2 preparing'));
    table.apply([], 3, 'test');
    await until('nothing alive', () => table.alive === 0);
    expect(exists(before.keep)).toBe(false);
    expect(table.reports()).toEqual([]);
  });

  it('kills a process that ignores TERM, and children in their own sessions', async () => {
    const script =
      'trap "" TERM; setsid sh -c "trap \\"\\" TERM; sleep 1000 & wait" & echo started; while :; do sleep 1000; done';
    table.apply([spec({ id: 'stubborn', argv: ['bash', '-c', script], graceMs: 200 })], 1, 'test');
    await reach('stubborn', 'ready');
    const entry = `SRTCTL_AGENT=${mark}`;
    const marked = async () => (await findMarked([entry])).get(entry) ?? [];
    await until('the grandchildren', async () => (await marked()).length >= 4);
    const all = await marked();
    table.apply([], 2, 'test');
    await until('nothing alive', () => table.alive === 0);
    await until('all of them gone', () => !all.some(exists));
    expect(last('stubborn')).toMatchObject({ to: 'stopped', signal: 'SIGKILL' });
  });

  it('ends the processes that a process left behind at its own end', async () => {
    const argv = ['bash', '-c', 'setsid sleep 1000 & sleep 0.2; exit 3'];
    table.apply([spec({ id: 'parent', argv })], 1, 'test');
    await reach('parent', 'failed');
    expect(last('parent')).toMatchObject({ exitCode: 3, why: 'ended with exit code 3' });
    const entry = `SRTCTL_AGENT=${mark}`;
    await until(
      'the orphan is gone',
      async () => ((await findMarked([entry])).get(entry) ?? []).length === 0,
    );
    await until('the table knows', () => table.alive === 0);
  });

  it('does not restart a failed process that is still wanted', async () => {
    const failing = spec({ id: 'failing', argv: ['false'] });
    table.apply([failing], 1, 'test');
    await reach('failing', 'failed');
    table.apply([failing], 2, 'test');
    expect(table.reports()).toMatchObject([{ id: 'failing', state: 'failed', generation: 2, exitCode: 1 }]);
    table.apply([], 3, 'test');
    table.apply([failing], 4, 'test');
    await until('a second try', () => statesOf('failing').filter((state) => state === 'failed').length === 2);
  });

  it('names the missing command', async () => {
    table.apply([spec({ id: 'missing', argv: ['no-such-engine', '--port', '1'] })], 1, 'test');
    await reach('missing', 'failed');
    expect(last('missing')?.why).toBe('command not found: no-such-engine');
    await until('nothing alive', () => table.alive === 0);
  });

  it('kills everything at once, in every state of the machines', async () => {
    const argv = ['bash', '-c', 'setsid sleep 1000 & sleep 1000'];
    table.apply([spec({ id: 'a', argv }), spec({ id: 'b', argv })], 1, 'test');
    await reach('a', 'ready');
    await reach('b', 'ready');
    const pids = [pidOf('a'), pidOf('b')];
    table.killAll();
    await until('both gone', () => !pids.some(exists));
    const entry = `SRTCTL_AGENT=${mark}`;
    await until('their children gone', async () => (await findMarked([entry])).get(entry)?.length === 0);
  });

  it('writes the files of a spec before it starts', async () => {
    const path = join(dir, 'deep/conf');
    table.apply(
      [spec({ id: 'reader', argv: ['cat', path], files: [{ path, content: 'hello' }], terminates: true })],
      1,
      't',
    );
    await reach('reader', 'stopped');
    expect(await readFile(join(dir, 'reader.out'), 'utf8')).toBe('hello');
  });
});
