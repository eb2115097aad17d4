import { type ChildProcess, execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createOutbox } from '../../../src/messages/bus/outbox.ts';
import { jobPaths, writeJson } from '../../../src/messages/job-directory/files.ts';
import { startTestBus, type TestBus, until } from '../../support/bus.ts';
import { writeJob } from '../job.ts';
import { killed, START, wholeRun } from '../view/events.ts';

const SRTCTL = resolve('dist/srtctl.js');

let root: string;
let server: TestBus | undefined;
const children: ChildProcess[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await server?.stop();
  server = undefined;
  await rm(root, { recursive: true, force: true });
});

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}
function start(args: readonly string[]) {
  const env = { ...process.env, SRTCTL_OUTPUT: root, NO_COLOR: '1' };
  let said = '';
  let child: ChildProcess | undefined;
  const ended = new Promise<Run>((settle) => {
    child = execFile(process.execPath, [SRTCTL, ...args], { env }, (_, stdout, stderr) =>
      settle({ exitCode: child?.exitCode ?? -1, stdout, stderr }),
    );
  });
  child?.stdout?.on('data', (text) => {
    said += text;
  });
  if (child) children.push(child);
  return { ended, said: () => said };
}
const srtctl = (...args: string[]): Promise<Run> => start(args).ended;

/** A job that counts as running, because its state names this process as a Slurm job without an end. */
const running = { sweep: 'running', exitCode: null } as const;

describe('srtctl events', () => {
  it('prints the events of a job that is over, by time and by expression, as lines and as JSON', async () => {
    const events = wholeRun(killed);
    await writeJob(root, 'a', { events });
    const all = await srtctl('events', 'a');
    expect(all.exitCode).toBe(0);
    expect(all.stdout.trimEnd().split('\n')).toHaveLength(events.length);
    const eventsOf = async (...args: string[]): Promise<unknown[]> =>
      (await srtctl('events', 'a', '--json', ...args)).stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
    expect(await eventsOf('--grep', 'decode-0-0')).toEqual(
      events.filter((event) => JSON.stringify(event).includes('decode-0-0')),
    );
    const since = new Date(START + 3_000).toISOString();
    expect(await eventsOf('--since', since)).toEqual(events.slice(3));
  });

  it('-f continues with what the bus delivers, each event once, until the job has ended', async () => {
    const events = wholeRun();
    // Slurm does not answer here, so the job runs until an event says that it has finished.
    const spec = { mode: 'slurm', slurm: { jobId: '4711', own: true } } as const;
    const job = await writeJob(root, 'a', { events: events.slice(0, 2), state: running, spec });
    server = await startTestBus('a', ['node1', 'node2']);
    const { connection } = jobPaths(job.jobDir, 'a');
    const { url } = server.nats;
    await writeJson(connection, { v: 1, jobId: 'a', url, operatorSeed: server.keys.operator.seed });
    const bus = await server.coordinator();
    const outbox = createOutbox({ bus, job: 'a', source: 'coordinator:2', now: () => new Date(START) });
    const change = { kind: 'sweep.transition', from: 'running', points: 1, cause: null } as const;
    outbox.send({ ...change, to: 'cleaning', why: 'first on the bus', exitCode: null });
    const { ended, said } = start(['events', 'a', '-f', '--json']);
    await until('the first event of the bus', () => said().includes('first on the bus'));
    outbox.send({ ...change, to: 'finished', why: 'the last one', exitCode: 0 });
    const lines = (await ended).stdout.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { why?: string }).why)).toEqual([
      ...events.slice(0, 2).map((event) => ('why' in event ? event.why : undefined)),
      'first on the bus',
      'the last one',
    ]);
  });
});

describe('srtctl url', () => {
  const point = { ordinal: 0, name: 'small', state: 'benchmarking', status: null } as const;

  it('prints the URL of the running point alone on standard output, and how to reach it from elsewhere', async () => {
    const spec = { mode: 'slurm', slurm: { jobId: '4711', own: true } } as const;
    const job = await writeJob(root, 'a', { spec, state: { ...running, points: [point] } });
    const directory = join(job.jobDir, 'points/00-small');
    await mkdir(directory, { recursive: true });
    const entry = { node: 'node1', host: 'fd00::1', port: 8000, model: 'm' };
    await writeJson(join(directory, 'entry.json'), { v: 1, ...entry });
    const { exitCode, stdout, stderr } = await srtctl('url', 'a');
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'http://[fd00::1]:8000\n' });
    expect(stderr).toMatch(/^m on node1: point 0 small, benchmarking\n.*ssh -N -L 8000:\[fd00::1\]:8000 /);
    expect(JSON.parse((await srtctl('url', 'a', '--json')).stdout)).toMatchObject(entry);
  });

  it('says that a job which has ended serves nothing (exit code 2)', async () => {
    await writeJob(root, 'a', { state: { points: [point] } });
    expect(await srtctl('url', 'a')).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: 'srtctl: job a has ended, and its deployment with it\n',
    });
  });
});

describe('srtctl ls', () => {
  it('lists jobs with their points, tags and what matters most, and only those that are asked for', async () => {
    expect((await srtctl('ls')).stdout).toBe(`no jobs in ${root}\n`);
    await writeJob(root, 'first', { spec: { name: 'llama', tags: ['nightly'] } });
    await writeJob(root, 'second', { spec: { name: 'qwen' }, state: { exitCode: 1, cause: killed } });
    const { stdout } = await srtctl('ls');
    expect(stdout).toMatch(/second .* qwen .* finished \(1\) .* 1 of 1 .*decode-0-0/);
    expect(stdout).toMatch(/first .* llama .* nightly/);
    const jsonOf = async (...args: string[]) =>
      (await srtctl('ls', '--json', ...args)).stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => (JSON.parse(line) as { jobId: string }).jobId);
    expect(await jsonOf('--tag', 'nightly')).toEqual(['first']);
    expect(await jsonOf('--state', 'failed')).toEqual(['second']);
    expect(await jsonOf('--name', 'wen')).toEqual(['second']);
    expect(await jsonOf('-n', '1')).toHaveLength(1);
    expect((await srtctl('ls', '--tag', 'none')).stdout).toBe(`no such job in ${root}\n`);
  });
});
