import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Transition } from '../../../src/node-agent/processes/entry.ts';
import { ProcessTable } from '../../../src/node-agent/processes/process-table.ts';
import { createCommandBuilder } from '../../../src/node-agent/start/launch.ts';
import { osSpawner } from '../../../src/node-agent/start/spawn.ts';
import { exists, until } from '../../support/bus.ts';
import { specOf } from '../../support/spec.ts';

/** docker with a daemon: the container is in its own session, and outlives the client. */
const DOCKER = `#!/bin/bash
echo "$*" >>"$(dirname "$0")/calls"
here=$(dirname "$0")
if [ "$1" = rm ]; then kill -9 "$(cat "$here/$3")" && rm "$here/$3"; exit; fi
while [ "$1" != --name ]; do shift; done
name=$2
while [ "$1" != repo/image:1 ]; do shift; done
shift
trap 'kill $!' TERM
setsid env -u SRTCTL_PROCESS -u SRTCTL_AGENT "$@" &
echo $! >"$here/$name"
wait; wait
`;

let dir: string;
let table: ProcessTable;
let transitions: Transition[];
let PATH: string | undefined;
const launcher = () =>
  createCommandBuilder({
    containers: { runtime: 'docker', mounts: ['/m:/model:ro'], home: '/scratch' },
    stopDir: join(dir, 'stop'),
    distDir: '/dist',
    incarnation: 'abcdefgh-1',
  });

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  await writeFile(join(dir, 'docker'), DOCKER);
  await chmod(join(dir, 'docker'), 0o755);
  PATH = process.env.PATH;
  process.env.PATH = `${dir}:${PATH}`;
  transitions = [];
  table = new ProcessTable({
    spawner: osSpawner,
    launcher: launcher(),
    guard: { began: () => {}, over: () => {}, dismiss: async () => {} },
    agentMark: `job/${dir}`,
    agentId: 'nobody',
    jobNode: 'job/node1',
    environment: { PATH: process.env.PATH, HF_TOKEN: 'secret', OF_THE_HOST: 'x' },
    onTransition: (transition) => transitions.push(transition),
    onEmpty: () => {},
    onDefect: (what, error) => {
      throw new Error(`${what}: ${error}`);
    },
  });
});
afterEach(async () => {
  table.killAll();
  // The table removes the container of a client that ended. Later it would find the docker of the next test in PATH.
  await until('nothing alive', () => table.alive === 0);
  process.env.PATH = PATH;
  await rm(dir, { recursive: true, force: true });
});

const spec = (over: Parameters<typeof specOf>[0]) => specOf({ image: 'repo/image:1', ...over }, dir);
const reach = (to: string) => until(to, () => transitions.at(-1)?.to === to);
const calls = async () => (await readFile(join(dir, 'calls'), 'utf8')).trim().split('\n');
const NAME = 'srtctl-job-node1-one-1-abcdefgh';
const inside = async () => {
  const pid = await until('a container', () => readFile(join(dir, NAME), 'utf8').catch(() => ''));
  return Number(pid);
};

describe('a process in a container of a daemon', () => {
  it('gets names of variables, not their values, and only those of the process and its job', async () => {
    table.apply([spec({ id: 'one', env: { TOKEN: 'hidden' }, argv: ['true'], terminates: true })], 1, 'test');
    await reach('stopped');
    const [run = ''] = await calls();
    expect(run).toContain(
      '--env HF_TOKEN --env SRTCTL_AGENT --env SRTCTL_AGENT_ID --env SRTCTL_PROCESS --env TOKEN',
    );
    expect(run).not.toMatch(/hidden|secret|OF_THE_HOST/);
    expect(run).toContain(`--name ${NAME}`);
    expect(run).toContain('--mount type=bind,source=/m,target=/model,readonly');
  });

  it('is asked to end through its client, and leaves no container', async () => {
    table.apply([spec({ id: 'one' })], 1, 'test');
    await reach('ready');
    const pid = await inside();
    table.apply([], 2, 'test');
    await until('nothing alive', () => table.alive === 0);
    expect(transitions.at(-1)).toMatchObject({ to: 'stopped' });
    await until('the container is gone', () => !exists(pid));
    expect(await readdir(join(dir, 'stop'))).toEqual([]);
  });

  it('is removed when it does not end in its time, and when its client was killed', async () => {
    const stubborn = ['bash', '-c', 'trap "" TERM; while :; do sleep 1000; done'];
    table.apply([spec({ id: 'one', argv: stubborn, graceMs: 100 })], 1, 'test');
    await reach('ready');
    const pid = await inside();
    const client = table.reports()[0]?.pid ?? 0;
    expect(client).toBeGreaterThan(0);
    process.kill(-client, 'SIGKILL');
    await reach('failed');
    await until('the container is gone', () => !exists(pid));
    expect((await calls()).at(-1)).toBe(`rm --force ${NAME}`);
  });

  it('is ended with the agent, in every state of the machines', async () => {
    table.apply([spec({ id: 'one' })], 1, 'test');
    await reach('ready');
    const pid = await inside();
    table.killAll();
    await until('the container is gone', () => !exists(pid));
  });
});

it('runs a command unchanged when the config has no containers', () => {
  const bare = createCommandBuilder({ distDir: '/dist', incarnation: 'x' });
  expect(bare.launch(spec({ id: 'one' }), { A: 'b' }, 'm')).toMatchObject({
    argv: ['sleep', '1000'],
    env: { A: 'b' },
  });
});

it('refuses the ranks of an MPI launch without a config for them', () => {
  const bare = createCommandBuilder({ distDir: '/dist', incarnation: 'x' });
  const ranks = spec({ id: 'one', mpi: { tasks: 2, nodes: ['node1'] } });
  expect(() => bare.launch(ranks, {}, 'm')).toThrow(/MPI/);
});
