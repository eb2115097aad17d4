import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobOnDisk } from '../../src/cli/jobs/job-dir.ts';
import { cancelRequestSchema, logRequestSchema } from '../../src/messages/events/control.ts';
import { subjectsOf } from '../../src/messages/events/subjects.ts';
import { jobPaths, writeJson } from '../../src/messages/job-directory/files.ts';
import type { JobState } from '../../src/messages/job-directory/job-files.ts';
import { small } from '../recipe/write.ts';
import { startTestBus, type TestBus, until } from '../support/bus.ts';
import { stateOf, writeJob } from './job.ts';
import { heartbeatOf, killed, processEvent, recorded, wholeRun } from './view/events.ts';

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
const srtctl = (...args: string[]): Promise<Run> =>
  new Promise((settle) => {
    const env = { ...process.env, SRTCTL_OUTPUT: root, NO_COLOR: '1' };
    const child = execFile(process.execPath, [SRTCTL, ...args], { env }, (_, stdout, stderr) =>
      settle({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    );
    children.push(child);
  });

/** A process with a coordinator's command line that finishes its job on a signal. */
async function fakeCoordinator(jobDir: string): Promise<ChildProcess> {
  const finished = JSON.stringify(stateOf('a', { exitCode: 143 }));
  const code = `process.on('SIGTERM', () => {
    require('node:fs').writeFileSync(${JSON.stringify(join(jobDir, 'state.json'))}, ${JSON.stringify(finished)});
    process.exit(143);
  });
  setInterval(() => {}, 1000);
  process.stdout.write('up');`;
  const args = ['-e', code, '/dist/coordinator.js', `${jobDir}/a.json`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  if (child.stdout) await once(child.stdout, 'data');
  return child;
}

/** A running job with a real bus, and a process in place of its coordinator. */
async function runningJob(): Promise<{ job: JobOnDisk; coordinator: ChildProcess; bus: TestBus }> {
  const bus = await startTestBus('a', ['node1', 'node2']);
  server = bus;
  const coordinator = await fakeCoordinator(join(root, 'a'));
  const job = await writeJob(root, 'a', {
    events: wholeRun().slice(0, 10),
    state: { sweep: 'running', exitCode: null, coordinatorPid: coordinator.pid ?? 0 },
  });
  await writeJson(jobPaths(job.jobDir, 'a').connection, {
    v: 1,
    jobId: 'a',
    url: bus.nats.url,
    operatorSeed: bus.keys.operator.seed,
  });
  return { job, coordinator, bus };
}

describe('srtctl logs', () => {
  const logged = async (): Promise<JobOnDisk> => {
    const logFile = join(root, 'prefill.out');
    await writeFile(logFile, 'one\ntwo\nthree\n');
    const job = await writeJob(root, 'a', { events: recorded([processEvent({ logFile })]) });
    await writeFile(join(job.jobDir, 'logs/sweep_a.log'), 'the coordinator speaks\n');
    return job;
  };

  it('lists the logs with their files and sizes', async () => {
    await logged();
    const { exitCode, stdout } = await srtctl('logs', 'a', '--list');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^prefill-0-0 +14 B {2}.*prefill\.out$/m);
    expect(stdout).toMatch(/^coordinator +23 B {2}.*sweep_a\.log$/m);
  });

  it('merges the logs of all processes by time, marks those without times, and prints JSON', async () => {
    await logged();
    const { stdout } = await srtctl('logs', 'a', '-t');
    expect(stdout.split('\n').map((line) => line.replace(/^[ ~][\d:.]+ /, ''))).toEqual([
      'prefill-0-0 | one',
      'prefill-0-0 | two',
      'prefill-0-0 | three',
      'coordinator | the coordinator speaks',
      '',
    ]);
    const json = await srtctl('logs', 'a', 'pre*', '--json', '--grep', 'THREE', '-i');
    expect(JSON.parse(json.stdout)).toMatchObject({ process: 'prefill-0-0', node: 'node1', text: 'three' });
  });

  it('shows the last lines of a process, and of the coordinator, from their files when the job is over', async () => {
    await logged();
    expect(await srtctl('logs', 'a', 'prefill-0-0', '-n', '2')).toMatchObject({ stdout: 'two\nthree\n' });
    expect(await srtctl('logs', 'a', 'prefill-0-0', '-f')).toMatchObject({ stdout: 'one\ntwo\nthree\n' });
    expect(await srtctl('logs', 'a', 'coordinator')).toMatchObject({ stdout: 'the coordinator speaks\n' });
  });

  it('names the nearest process for an unknown one (exit code 2)', async () => {
    await logged();
    const { exitCode, stdout, stderr } = await srtctl('logs', 'a', 'prefil-0');
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toBe('srtctl: this job has no process prefil-0 (did you mean prefill-0-0?)\n');
  });

  it('asks the agent while the job runs, and continues until the job is over', async () => {
    const { bus, coordinator } = await runningJob();
    const agent = await bus.agent('node1');
    let log = 'a line\n';
    agent.subscribe(subjectsOf('a').log('node1', 'prefill-0-0'), logRequestSchema, ({ message, respond }) => {
      const from = message.offset ?? 0;
      const answer = () =>
        respond({ v: 1, ok: true, text: log.slice(from), offset: log.length, file: '/nowhere', over: false });
      if (log.length > from) answer();
      else setTimeout(answer, 100);
    });
    await agent.settled();
    const env = { ...process.env, SRTCTL_OUTPUT: root };
    const child = spawn(process.execPath, [SRTCTL, 'logs', 'a', 'prefill-0-0', '-f'], { env });
    children.push(child);
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    await until('the tail', () => text === 'a line\n');
    log += 'and one more\n';
    await until('what follows', () => text === log);
    coordinator.kill('SIGTERM');
    await once(child, 'close');
    expect(text).toBe(log);
  });
});

describe('a recipe with several errors', () => {
  const file = async () => {
    const path = join(root, 'bad.yaml');
    await writeFile(path, 'name: x\nmodell: 1\nresourcess: 2\nfrontendd: 3\n');
    return path;
  };

  it.each(['dry-run', 'apply'])(
    '%s reports the first error in one line, and every error with --all-errors or --json',
    async (command) => {
      const args = [command, '-f', await file(), ...(command === 'apply' ? ['--local'] : [])];
      const first = await srtctl(...args);
      expect(first).toMatchObject({
        exitCode: 2,
        stderr: expect.stringMatching(/^[^\n]*\(\+\d+ more: --all-errors\)\n$/),
      });
      const { stderr } = await srtctl(...args, '--all-errors');
      for (const key of ['modell', 'resourcess', 'frontendd'])
        expect(stderr).toMatch(new RegExp(`bad\\.yaml:\\d.*${key}`));
      const { errors } = JSON.parse((await srtctl(...args, '--json')).stdout) as { errors: string[] };
      expect(errors).toHaveLength(stderr.trim().split('\n').length);
    },
  );
});

describe('options that change a recipe', () => {
  it('are checked, applied in their order, and written by resolve-override', async () => {
    const file = join(root, 'recipe.yaml');
    await writeFile(file, 'name: r\nbenchmark: {isl: 1} # short\n');
    const resolve = (...options: string[]) => srtctl('resolve-override', '-f', file, ...options);
    const options = ['--unset', 'benchmark.isl', '--set', 'benchmark.osl=2', '--set', 'benchmark.osl=3'];
    expect(await resolve(...options)).toMatchObject({
      exitCode: 0,
      stdout: 'name: r\nbenchmark: { osl: 3 } # short\n',
    });
    const wrong = await resolve('--set', 'benchmrk.isl=2');
    expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
    expect(wrong.stderr).toContain(
      '--set benchmrk.isl=2: benchmrk: unknown key (did you mean "benchmark.isl"?)',
    );
  });

  it('allow duplicate keys before and after the command, with a warning', async () => {
    const file = join(root, 'recipe.yaml');
    await writeFile(file, 'base:\n  name: r\noverride_x: {benchmark: {isl: 1, isl: 2}}\n');
    const text = 'name: r_x\nbenchmark: { isl: 2 }\n';
    for (const args of [
      ['--allow-duplicate-keys', 'resolve-override', '-f', file],
      ['resolve-override', '-f', file, '--allow-duplicate-keys'],
    ]) {
      const { exitCode, stdout, stderr } = await srtctl(...args);
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: text });
      expect(stderr).toContain('override_x.benchmark.isl: the key stands twice');
    }
    expect(await srtctl('resolve-override', '-f', file)).toMatchObject({ exitCode: 2, stdout: '' });
  });
});

describe('render --to', () => {
  it('with --serve-only prepares a deployment that measures nothing', async () => {
    const file = join(root, 'recipe.yaml');
    await writeFile(file, small);
    const render = ['render', '-f', file, '--mock', '--serve-only', '--output', join(root, 'outputs')];
    expect(await srtctl(...render)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('add --to DIR'),
    });
    const { exitCode, stdout, stderr } = await srtctl(...render, '--to', join(root, 'rendered'));
    expect(exitCode, stderr).toBe(0);
    const script = stdout.trim().split('\n').at(-1) ?? '';
    const job: unknown = JSON.parse(await readFile(join(dirname(script), 'job.json'), 'utf8'));
    expect(job).toMatchObject({
      serveOnly: true,
      variant: { points: [{ recipe: { benchmark: { type: 'manual' } } }] },
    });
  });
});

describe('why of a job that was stopped', () => {
  it('names the user, the time and the finished points, and shows no log', async () => {
    const at = '2026-01-02T03:04:05.000Z';
    const why = 'cancelled by bob';
    const [cleaning] = recorded([
      {
        kind: 'sweep.transition',
        from: 'running',
        to: 'cleaning',
        why,
        points: 3,
        exitCode: null,
        cause: null,
      },
    ]);
    const points = [
      { ordinal: 0, name: 'one', state: 'done', status: 'done' },
      { ordinal: 1, name: 'two', state: 'interrupted', status: 'interrupted' },
      { ordinal: 2, name: 'three', state: 'planned', status: null },
    ] as const;
    const job = await writeJob(root, 'a', {
      events: cleaning ? [{ ...cleaning, at }] : [],
      state: { sweep: 'finished', exitCode: 143, points: [...points] },
    });
    await writeFile(join(job.jobDir, 'logs/sweep_a.log'), '{"level":30,"msg":"raw"}\n');
    const { exitCode, stdout } = await srtctl('why', 'a');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^job a was stopped at .*: cancelled by bob; points: 1 done, 1 interrupted, 1 not begun\n$/,
    );
    expect(JSON.parse((await srtctl('why', 'a', '--json')).stdout)).toMatchObject({
      stopped: { why: 'cancelled by bob', at },
    });
  });
});

describe('keys of a job', () => {
  const keep = async (job: JobOnDisk): Promise<string[]> => {
    const { connection, credentials } = jobPaths(job.jobDir, job.jobId);
    await writeFile(connection, '{}', { mode: 0o600 });
    await mkdir(credentials, { mode: 0o700 });
    await writeFile(join(credentials, 'agent-node1.json'), '{}', { mode: 0o600 });
    return [connection, credentials];
  };
  const home = { host: hostname(), directory: '/nowhere' };

  it('are removed by the next command when the coordinator was killed together with apply', async () => {
    const files = await keep(
      await writeJob(root, 'dead', { state: { sweep: 'running', exitCode: null, home } }),
    );
    await srtctl('status');
    expect(files.filter((file) => existsSync(file))).toEqual([]);
  });

  it('stay while it runs, here or on another machine', async () => {
    const { job } = await runningJob();
    const elsewhere = { sweep: 'running', exitCode: null, home: { ...home, host: 'elsewhere' } } as const;
    const files = [
      jobPaths(job.jobDir, 'a').connection,
      ...(await keep(await writeJob(root, 'far', { state: elsewhere }))),
    ];
    await srtctl('status');
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });
});

describe('srtctl status', () => {
  it('lists the jobs, newest first, also an unreadable one, and an empty directory', async () => {
    expect(await srtctl('status')).toMatchObject({ exitCode: 0, stdout: `no jobs in ${root}\n` });
    await writeJob(root, 'first', { state: { sweep: 'running', exitCode: null } });
    const failed = await writeJob(root, 'second', { state: { exitCode: 1, cause: killed } });
    const { stdout } = await srtctl('status');
    expect(stdout).toMatch(/second .* finished \(1\) .*decode-0-0[\s\S]*first .* dead/);
    await writeFile(join(failed.jobDir, 'second.json'), '{}');
    expect((await srtctl('status')).stdout).toContain('unreadable');
  });

  it('is no wider than its longest cause, and expects no end of a job that is over', async () => {
    const progress = {
      ...{ points: 3, done: 1, failed: 0, left: 2, meanPointMs: 1_000, elapsedMs: 1_000 },
      expectedEndAt: '2026-01-02T03:04:05.000Z',
    };
    const cause = { summary: 'x'.repeat(500) };
    await writeJob(root, 'wide', { state: { exitCode: 143, cause, progress } as Partial<JobState> });
    const lines = (await srtctl('status')).stdout.split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(160);
    const { stdout } = await srtctl('status', 'wide');
    expect(stdout).toContain('1 of 3 points done');
    expect(stdout).not.toContain('expected end');
    expect(stdout).toContain(cause.summary);
  });

  it('shows nodes, points, processes and the cause of one job', async () => {
    await writeJob(root, 'a', { events: wholeRun(killed), state: { exitCode: 1, cause: killed } });
    const { exitCode, stdout } = await srtctl('status', 'a');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('finished (exit code 1)');
    expect(stdout).toMatch(/node2 decode-0-0 +failed/);
    expect(stdout).toContain(killed.summary);
    const json: unknown = JSON.parse((await srtctl('status', 'a', '--json')).stdout);
    expect(json).toMatchObject({
      jobId: 'a',
      state: 'finished',
      exitCode: 1,
      cause: { process: 'decode-0-0' },
    });
  });

  it('shows how the command line changed the recipe', async () => {
    const edits = ['--set benchmark.isl=128', '--unset health_check'];
    await writeJob(root, 'changed', { spec: { variant: { edits } } });
    const { stdout } = await srtctl('status', 'changed');
    expect(stdout).toContain('  changed  --set benchmark.isl=128\n  changed  --unset health_check\n');
  });

  it('of a running job shows the current reports of its agents', async () => {
    const { bus } = await runningJob();
    const agent = await bus.agent('node1');
    const heartbeat = heartbeatOf({ alive: 7, rssBytes: 50 * 1_048_576 });
    const timer = setInterval(() => agent.publish(subjectsOf('a').heartbeat('node1'), heartbeat), 50);
    const { stdout } = await srtctl('status', 'a').finally(() => clearInterval(timer));
    expect(stdout).toContain('node1: joined, 7 processes, agent 50 MiB');
    expect(stdout).toContain('node2: joined, no heartbeat heard');
  });
});

describe('srtctl cancel', () => {
  it('reports that a job has already ended', async () => {
    await writeJob(root, 'a');
    expect(await srtctl('cancel', 'a')).toMatchObject({ exitCode: 0, stdout: 'a has already ended\n' });
  });

  it('asks the coordinator over the bus, and returns when the coordinator has ended', async () => {
    const { bus, coordinator } = await runningJob();
    const asked: string[] = [];
    const ears = await bus.coordinator();
    ears.subscribe(subjectsOf('a').cancel, cancelRequestSchema, ({ message, respond }) => {
      asked.push(message.by);
      respond({ v: 1, accepted: true });
      coordinator.kill('SIGTERM');
    });
    await ears.settled();
    const { exitCode, stdout } = await srtctl('cancel', 'a');
    expect({ exitCode, asked }).toEqual({ exitCode: 0, asked: [userInfo().username] });
    expect(stdout).toMatch(/a is being stopped\n[\s\S]*a has ended \(exit code 143\)\n$/);
    await until('its end', () => coordinator.exitCode === 143);
  });

  it('sends SIGTERM to a local coordinator whose bus does not answer', async () => {
    const { bus, coordinator } = await runningJob();
    await bus.nats.stop();
    const { exitCode, stdout } = await srtctl('cancel', 'a');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('sent SIGTERM to its coordinator');
    await until('its end', () => coordinator.exitCode === 143);
  });

  it('leaves a foreign process alone that has the coordinator’s pid now', async () => {
    const stranger = spawn('sleep', ['1000']);
    children.push(stranger);
    await writeJob(root, 'a', {
      state: { sweep: 'running', exitCode: null, coordinatorPid: stranger.pid ?? 0 },
    });
    expect(await srtctl('cancel', 'a')).toMatchObject({ exitCode: 0, stdout: 'a has already ended\n' });
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });
});

describe('srtctl watch', () => {
  it('ends with the exit code of the run for a job that is over', async () => {
    await writeJob(root, 'a', { events: wholeRun(killed), state: { exitCode: 1 } });
    const { exitCode, stdout } = await srtctl('watch', '--json');
    expect(exitCode).toBe(1);
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^\{"kind":"summary","jobId":"a"/);
  });

  it('ends with a message when the coordinator of the job is killed', async () => {
    const { job, coordinator } = await runningJob();
    const watching = srtctl('watch', 'a');
    coordinator.kill('SIGKILL');
    await server?.stop();
    server = undefined;
    await appendFile(join(job.jobDir, 'logs/sweep_a.log'), 'last words\n');
    const { exitCode, stdout } = await watching;
    expect(exitCode).toBe(1);
    expect(stdout).toContain('failed: the coordinator ended before the run was finished');
  });

  it.each(['watch', 'logs', 'status', 'cancel'])('%s --help has examples', async (command) => {
    expect((await srtctl(command, '--help')).stdout).toMatch(new RegExp(`Examples:\n {2}srtctl ${command}`));
  });
});
