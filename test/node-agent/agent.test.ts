import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Bus } from '../../src/messages/bus/bus.ts';
import {
  type Desired,
  desiredReplySchema,
  type Heartbeat,
  type Hello,
  heartbeatSchema,
  helloSchema,
  logReplySchema,
} from '../../src/messages/events/control.ts';
import type { ProcessTransition, SrtEvent } from '../../src/messages/events/events.ts';
import { execReplySchema } from '../../src/messages/events/exec.ts';
import { subjectsOf } from '../../src/messages/events/subjects.ts';
import { writeJson } from '../../src/messages/job-directory/files.ts';
import { clearLeftovers } from '../../src/node-agent/leftovers/leftovers.ts';
import { exists, startTestBus, type TestBus, until } from '../support/bus.ts';
import { guardsOf } from '../support/guards.ts';
import { findMarked } from '../support/marked.ts';
import { endIfThere, signal } from '../support/signal.ts';
import { specOf } from '../support/spec.ts';

// A name for each test, because an agent clears the remains of earlier agents of its name.
const JOB = `agent-test-${process.pid}`;
const NODE = 'gpu.01';
const s = subjectsOf(JOB);
let testBus: TestBus;
let coordinator: Bus;
let agent: ChildProcess;
let leases: NodeJS.Timeout | undefined;
let heartbeats: Heartbeat[];
let transitions: ProcessTransition[];
let answer: { leaseMs: number; desired: Desired };
let greeted = 0;
let hellos: Hello[] = [];
const commands: SrtEvent[] = [];

const desired = (generation: number, ...processes: ReturnType<typeof specOf>[]): Desired => ({
  v: 1,
  epoch: 1,
  generation,
  processes,
});
const spec = (over: Parameters<typeof specOf>[0]) => specOf({ node: NODE, ...over }, testBus.directory);
const ask = (message: Desired) => coordinator.request(s.desired(NODE), message, desiredReplySchema, 20_000);
const renew = (over: object = {}) =>
  coordinator.publish(s.allLease, { v: 1, epoch: 1, generation: 0, lost: [], ...over });
const reached = (process: string, to: string) =>
  until(`${process} ${to}`, () => transitions.find((entry) => entry.process === process && entry.to === to));

beforeAll(async () => {
  testBus = await startTestBus(JOB, [NODE], undefined, { exec: true });
  coordinator = await testBus.coordinator();
  coordinator.subscribe(s.hello('*'), helloSchema, ({ message, respond }) => {
    greeted++;
    hellos.push(message);
    respond({ v: 1, welcome: true, ...answer });
  });
  coordinator.subscribe(s.heartbeat('*'), heartbeatSchema, ({ message }) => heartbeats.push(message));
  coordinator.follow(1, (event) => {
    if (event.kind === 'process.transition') transitions.push(event);
    if (event.kind === 'process.exec') commands.push(event);
  });
  await coordinator.settled();
});
afterAll(() => testBus?.stop());

async function startAgent(leaseMs = 10_000, env: Record<string, string> = {}): Promise<void> {
  heartbeats = [];
  transitions = [];
  answer = { leaseMs, desired: desired(0) };
  const before = greeted;
  const config = join(testBus.directory, 'agent.json');
  const seed = testBus.keys.agents.get(NODE)?.seed;
  const content = {
    v: 1,
    jobId: JOB,
    node: NODE,
    address: '127.0.0.1',
    url: testBus.nats.url,
    seed,
    logDir: '/tmp',
    exec: true,
  };
  await writeJson(config, content, { secret: true });
  hellos = [];
  agent = spawn(process.execPath, ['dist/node-agent.js', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  leases = setInterval(() => renew(), 200);
  await until('hello', () => greeted > before);
}
const ended = () => until('the agent to end', () => agent.exitCode !== null || agent.signalCode !== null);

afterEach(async () => {
  clearInterval(leases);
  if (agent.exitCode === null && agent.signalCode === null) {
    agent.kill('SIGTERM');
    await ended();
  }
});

describe('an agent', () => {
  it('runs the requested processes, reports each transition once and in order, and says goodbye', async () => {
    await startAgent();
    const reply = await ask(
      desired(1, spec({ id: 'one' }), spec({ id: 'two', argv: ['true'], terminates: true })),
    );
    expect(reply).toMatchObject({ accepted: true, generation: 1 });
    await reached('one', 'ready');
    await reached('two', 'stopped');
    const seqs = transitions.map((entry) => entry.seq);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    const pid = (await reached('one', 'ready')).pid ?? 0;
    expect(exists(pid)).toBe(true);
    expect(await readFile(`/proc/${pid}/environ`, 'latin1')).toContain(`SRTCTL_PROCESS=${JOB}/${NODE}/one`);
    coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 2, end: true });
    await ended();
    expect(agent.exitCode).toBe(0);
    expect(exists(pid)).toBe(false);
    expect(heartbeats.at(-1)).toMatchObject({ leaving: true, alive: 0 });
    await reached('one', 'stopped');
  });

  it('acknowledges the stop before it acts on it, unless it gets a new desired state meanwhile', async () => {
    await startAgent();
    await ask(desired(1, spec({ id: 'one' })));
    await reached('one', 'ready');
    const heard = (generation: number) => heartbeats.find((beat) => beat.generation === generation);
    coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 2, end: false, afterMs: 1_000 });
    await until('the word that it heard', () => heard(2) !== undefined);
    expect(heard(2)).toMatchObject({ alive: 1 });
    expect(await ask(desired(3, spec({ id: 'one' })))).toMatchObject({ accepted: true });
    coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 4, end: false, afterMs: 1_000 });
    await until('nothing', () => heartbeats.at(-1)?.generation === 4 && heartbeats.at(-1)?.alive === 0);
    // If it had acted on the first stop, the second would have found no process to stop.
    expect(heard(4)).toMatchObject({ alive: 1 });
    expect(transitions.filter(({ to }) => to === 'starting')).toHaveLength(1);
  });

  it('refuses an older generation, an older epoch, and a desired state of another node', async () => {
    await startAgent();
    expect(await ask({ ...desired(5), epoch: 3 })).toMatchObject({ accepted: true });
    expect(await ask({ ...desired(4), epoch: 3 })).toMatchObject({
      accepted: false,
      reason: expect.stringContaining('older'),
    });
    expect(await ask({ ...desired(9), epoch: 2 })).toMatchObject({
      accepted: false,
      reason: expect.stringContaining('epoch'),
    });
    const stranger = { ...desired(6, { ...spec({ id: 'x' }), node: 'other' }), epoch: 3 };
    expect(await ask(stranger)).toMatchObject({ accepted: false, reason: expect.stringContaining('other') });
  });

  it('starts no process when another process has a port that is needed later', async () => {
    await startAgent();
    const stranger = createServer();
    await new Promise<void>((listening) => stranger.listen(0, '127.0.0.1', listening));
    try {
      const { port } = stranger.address() as AddressInfo;
      const wanted = desired(1, spec({ id: 'engine' }));
      const later = [{ id: 'router', ports: { http: port } }];
      expect(await ask({ ...wanted, later })).toEqual({
        v: 1,
        accepted: false,
        taken: true,
        reason: expect.stringContaining(
          `port ${port} of ${NODE}, which router needs (http), is taken by pid`,
        ),
      });
      expect(transitions).toEqual([]);
      expect(await ask({ ...wanted, later: [{ id: 'router', ports: {} }] })).toMatchObject({
        accepted: true,
      });
      await reached('engine', 'ready');
    } finally {
      stranger.close();
    }
  });

  it('asks again when a lease shows that it has missed a desired state', async () => {
    await startAgent();
    answer = { ...answer, desired: desired(7, spec({ id: 'missed' })) };
    // Leases come each second. One that arrives while the agent says hello is followed by the next.
    const behind = setInterval(() => renew({ generation: 7 }), 100);
    await reached('missed', 'ready').finally(() => clearInterval(behind));
  });

  it('ends when the job is over, even when it already had an empty desired state', async () => {
    await startAgent();
    expect(await ask(desired(4))).toMatchObject({ accepted: true });
    coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 3, end: true });
    coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 4, end: false });
    await coordinator.settled();
    expect(await ask(desired(4))).toMatchObject({ accepted: true });
    coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 4, end: true });
    await ended();
    expect(agent.exitCode).toBe(0);
  });

  it('leaves its processes to the coordinator when Slurm signals both', async () => {
    await startAgent();
    await ask(desired(1, spec({ id: 'one' })));
    await reached('one', 'ready');
    agent.kill('SIGTERM');
    expect(await ask(desired(1, spec({ id: 'one' })))).toMatchObject({ accepted: true });
    coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 2, end: true });
    await ended();
    expect(agent.exitCode).toBe(0);
    const stopping = transitions.find(({ to }) => to === 'stopping');
    expect(stopping?.why).toBe('everything is to stop');
  });

  it('stops its processes itself when it is signalled and no coordinator does', async () => {
    await startAgent();
    await ask(desired(1, spec({ id: 'one' })));
    await reached('one', 'ready');
    agent.kill('SIGTERM');
    await ended();
    expect(transitions.find(({ to }) => to === 'stopping')?.why).toBe('the agent was sent SIGTERM');
  });

  it('says goodbye although it is signalled meanwhile, after its guard has gone', async () => {
    await startAgent();
    await until('a heartbeat', () => heartbeats.length > 0);
    const signal = setInterval(() => {
      if (heartbeats.at(-1)?.leaving) agent.kill('SIGTERM');
    }, 0);
    coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 1, end: true });
    await ended();
    clearInterval(signal);
    expect(agent.exitCode).toBe(0);
    expect(guardsOf(`SRTCTL_AGENT=${JOB}/${NODE}/${hellos[0]?.incarnation}`)).toEqual([]);
  });

  it('stops everything and ends when its lease expires', async () => {
    await startAgent(4_000);
    await ask(desired(1, spec({ id: 'one' })));
    const { pid } = await reached('one', 'ready');
    clearInterval(leases);
    await ended();
    expect(agent.exitCode).toBe(75);
    expect(exists(pid ?? 0)).toBe(false);
    expect((await reached('one', 'stopped')).why).toContain('lease has expired');
  });

  it('accepts no lease from a replaced coordinator', async () => {
    await startAgent(8_000);
    expect(await ask({ ...desired(1), epoch: 3 })).toMatchObject({ accepted: true });
    clearInterval(leases);
    answer = { leaseMs: 600_000, desired: desired(0) };
    const before = greeted;
    // It says hello again to any coordinator, and the answer has the first epoch.
    signal(testBus.nats.pid, 'SIGKILL');
    await until('another hello', () => greeted > before);
    await ended();
    expect(agent.exitCode).toBe(75);
  });

  it('stops when the coordinator considers it lost', async () => {
    await startAgent();
    await ask(desired(1, spec({ id: 'one' })));
    const { pid } = await reached('one', 'ready');
    renew({ lost: [NODE] });
    await ended();
    expect(exists(pid ?? 0)).toBe(false);
  });

  it('leaves no process when it is killed, because its guard ends groups and processes in their own sessions', async () => {
    await startAgent();
    await ask(desired(1, spec({ id: 'one', argv: ['bash', '-c', 'setsid sleep 1000 & sleep 1000'] })));
    await reached('one', 'ready');
    const mark = (await readFile(`/proc/${(await reached('one', 'ready')).pid}/environ`, 'latin1'))
      .split('\0')
      .find((entry) => entry.startsWith('SRTCTL_AGENT='));
    const marked = async () => (await findMarked([mark ?? ''])).get(mark ?? '') ?? [];
    await until('three processes', async () => (await marked()).length === 3);
    agent.kill('SIGKILL');
    await ended();
    await until('none', async () => (await marked()).length === 0);
  });

  describe('with grandchildren in their own sessions', () => {
    const argv = ['bash', '-c', '(setsid sh -c "sleep 1000 & sleep 1000" &) ; sleep 1000'];
    let mark: string;
    const marked = async () => (await findMarked([mark])).get(mark) ?? [];
    const kill = async () => {
      agent.kill('SIGKILL');
      await ended();
    };
    beforeEach(async () => {
      await startAgent();
      await ask(desired(1, spec({ id: 'one', argv })));
      const { pid } = await reached('one', 'ready');
      // A process has no environment during exec, and an empty mark would match every process.
      await until('its mark', async () => {
        const environ = await readFile(`/proc/${pid}/environ`, 'latin1');
        mark = environ.split('\0').find((entry) => entry.startsWith('SRTCTL_AGENT=')) ?? '';
        return mark !== '';
      });
      await until('all of them', async () => (await marked()).length === 4);
    });
    afterEach(async () => {
      for (const pid of await marked()) endIfThere(pid);
    });

    it.each(['SIGKILL', 'SIGSTOP'] as const)('gets a new guard after a %s of its guard', async (name) => {
      const [before = 0] = guardsOf(mark);
      signal(before, name);
      await until('another guard', () => guardsOf(mark).some((pid) => pid !== before));
      await until('the old one gone', () => !exists(before));
      await kill();
      await until('nothing left', async () => (await marked()).length === 0);
      await until('no guard left', () => guardsOf(mark).length === 0);
    });

    it('leaves no guard that was stopped while the agent left', async () => {
      signal(guardsOf(mark)[0], 'SIGSTOP');
      coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: 2, end: true });
      await ended();
      await until('no guard left', () => guardsOf(mark).length === 0);
      expect(await marked()).toEqual([]);
    });

    it('clears the remains of an agent that was killed together with its guard', async () => {
      // At once, because the agent may not start another guard in between.
      agent.kill('SIGSTOP');
      for (const guard of guardsOf(mark)) signal(guard, 'SIGKILL');
      await kill();
      expect(await marked()).toHaveLength(4);
      await startAgent();
      expect(await marked()).toEqual([]);
    });

    it('is not disturbed by an agent of another job on the node', async () => {
      expect(await clearLeftovers({ jobId: `${JOB}-other`, node: NODE })).toEqual([]);
      expect(await marked()).toHaveLength(4);
    });
  });

  it('stops its own processes after it was frozen for longer than its lease, whatever its socket contains', async () => {
    await startAgent(4_000);
    await ask(desired(1, spec({ id: 'one' })));
    const { pid } = await reached('one', 'ready');
    agent.kill('SIGSTOP');
    const frozenAt = performance.now();
    await until('its lease to be over', () => performance.now() - frozenAt > 4_300);
    agent.kill('SIGCONT');
    await ended();
    expect(agent.exitCode).toBe(75);
    expect(exists(pid ?? 0)).toBe(false);
    expect((await reached('one', 'stopped')).why).toContain('lease has expired');
  });

  it('leaves nothing of a command of an operator when it is killed, and says in events who ran what', async () => {
    await startAgent();
    const operator = await testBus.operator();
    const ask = async (request: object) => {
      const message = { v: 1, id: 'command-of-test', ...request };
      const reply = await operator.request(s.exec(NODE), message, execReplySchema, 10_000);
      if (!reply.ok) throw new Error(reply.reason);
      return reply;
    };
    const argv = ['sh', '-c', 'setsid sleep 1000 & echo $!; sleep 1000'];
    await ask({ do: 'start', process: null, argv, by: 'alice', limitMs: 60_000 });
    const said = await until('the pid of the child', async () => {
      const { pieces } = await ask({ do: 'read', after: 0, waitMs: 1_000 });
      return pieces.map(({ data }) => Buffer.from(data, 'base64').toString()).join('');
    });
    const child = Number(said);
    expect(exists(child)).toBe(true);
    const event = await until('its event', () => commands[0]);
    expect(event).toMatchObject({ node: NODE, process: 'agent', by: 'alice', program: 'sh', to: 'started' });
    agent.kill('SIGKILL');
    await until('the end of the child', () => !exists(child));
    await operator.close();
  });

  it('reports the holders of the GPUs before it starts anything', async () => {
    const holder = spawn('sleep', ['1000'], { stdio: 'ignore' });
    try {
      await startAgent(10_000, {
        PATH: `${resolve('dist/mock-bin')}:${process.env.PATH}`,
        SRTCTL_SIM_GPU_HOLDERS: `${NODE}:0:${holder.pid}:python3 ${NODE}:3:${holder.pid}:python3 other:1:1:x`,
      });
      const held = { pid: holder.pid, program: 'python3', user: userInfo().username, memoryMiB: 71234 };
      expect(hellos.at(-1)?.gpuHolders).toEqual([
        { gpu: 0, ...held },
        { gpu: 3, ...held },
      ]);
    } finally {
      holder.kill('SIGKILL');
    }
  });

  it('returns the tail of a log and the lines that follow', async () => {
    await startAgent();
    const go = join(testBus.directory, 'go');
    const script = `for i in 1 2 3; do echo line $i; done; until [ -e ${go} ]; do sleep 0.05; done; echo more`;
    const argv = ['bash', '-c', `${script}; sleep 1000`];
    await ask(desired(1, spec({ id: 'talker', argv })));
    await reached('talker', 'ready');
    const log = (message: object) =>
      coordinator.request(s.log(NODE, 'talker'), { v: 1, ...message }, logReplySchema, 20_000);
    const tail = await until('three lines', async () => {
      const reply = await log({ lines: 2 });
      return reply.ok && reply.text.includes('line 3') ? reply : undefined;
    });
    expect(tail.text).toBe('line 2\nline 3\n');
    const more = until('what follows', async () => {
      const reply = await log({ offset: tail.offset, waitMs: 5_000 });
      return reply.ok && reply.text;
    });
    await writeFile(go, '');
    expect(await more).toBe('more\n');
    const unknown = await coordinator.request(s.log(NODE, 'nobody'), { v: 1 }, logReplySchema, 20_000);
    expect(unknown).toMatchObject({ ok: false });
  });

  it('survives a kill of nats-server: no process stops, and no transition is lost', async () => {
    await startAgent();
    await ask(
      desired(1, spec({ id: 'steady' }), spec({ id: 'short', argv: ['sleep', '0.7'], terminates: true })),
    );
    const { pid } = await reached('steady', 'ready');
    await reached('short', 'ready');
    signal(testBus.nats.pid, 'SIGKILL');
    expect((await reached('short', 'stopped')).why).toBe('completed');
    expect(exists(pid ?? 0)).toBe(true);
    const seqs = transitions.map((entry) => entry.seq);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  });
});
