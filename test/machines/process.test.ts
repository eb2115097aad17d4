import { describe, expect, it } from 'vitest';
import { createActor, fromCallback, fromPromise, SimulatedClock } from 'xstate';
import {
  type ProbeInput,
  type ProcessEvent,
  processMachine,
  processStateOf,
} from '../../src/machines/process.ts';
import type { ProcessSpec } from '../../src/messages/spec/process-spec.ts';
import { specOf } from '../support/spec.ts';

/** The machine on a simulated clock, with recorders as its effects. */
function start(
  over: Parameters<typeof specOf>[0] = { id: 'p' },
  prepare: () => Promise<void> = async () => {},
) {
  const clock = new SimulatedClock();
  const did: string[] = [];
  let world: (event: ProcessEvent) => void = () => {};
  let probe: (event: ProcessEvent) => void = () => {};
  const machine = processMachine.provide({
    actors: {
      prepare: fromPromise(prepare),
      life: fromCallback<ProcessEvent, { spec: ProcessSpec }>(({ sendBack }) => {
        world = sendBack;
        did.push('spawn');
      }),
      probe: fromCallback<ProcessEvent, ProbeInput>(({ sendBack, input }) => {
        probe = sendBack;
        did.push(`probe ${input.phase}`);
        return () => did.push(`end probe ${input.phase}`);
      }),
    },
    actions: { terminate: () => did.push('TERM'), kill: () => did.push('KILL') },
  });
  const actor = createActor(machine, { input: { spec: specOf(over) }, clock });
  const states: string[] = [];
  actor.subscribe((snapshot) => {
    const state = processStateOf(snapshot.value);
    if (states.at(-1) !== state) states.push(state);
  });
  actor.start();
  /** Chained timers fire one a step (statelyai/xstate), so time passes in small steps. */
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 50) clock.increment(Math.min(50, left));
  };
  return {
    actor,
    did,
    states,
    pass,
    world: (event: ProcessEvent) => world(event),
    probe: (event: ProcessEvent) => probe(event),
    context: () => actor.getSnapshot().context,
    async live() {
      actor.send({ type: 'resources.free' });
      await Promise.resolve();
      await new Promise((resolve) => setImmediate(resolve));
      world({ type: 'process.spawned', pid: 42 });
    },
  };
}
const exited = (exitCode: number | null, signal: string | null = null): ProcessEvent => ({
  type: 'process.exited',
  exitCode,
  signal,
});

describe('the process machine', () => {
  it('goes from waiting through starting to ready, and then probes seldom', async () => {
    const p = start();
    expect(p.states).toEqual(['waiting']);
    await p.live();
    p.probe({ type: 'probe.passed', detail: 'HTTP 200' });
    expect(p.states).toEqual(['waiting', 'preparing', 'starting', 'ready']);
    expect(p.context()).toMatchObject({ pid: 42, why: 'HTTP 200', unexpected: [] });
    expect(p.did).toEqual(['spawn', 'probe startup', 'end probe startup', 'probe liveness']);
  });

  it('stays up when its monitoring changes, and becomes ready once more when its workers are new', async () => {
    const p = start();
    const spec = specOf({ id: 'p' });
    p.actor.send({ type: 'spec.changed', spec: { ...spec, graceMs: 1 } });
    await p.live();
    p.probe({ type: 'probe.passed', detail: 'HTTP 200' });
    p.actor.send({ type: 'spec.changed', spec: { ...spec, graceMs: 777 } });
    expect(p.states.at(-1)).toBe('ready');
    p.actor.send({ type: 'spec.changed', spec: { ...spec, graceMs: 777, readyAfter: 'new' } });
    expect(p.states.slice(-2)).toEqual(['ready', 'starting']);
    p.probe({ type: 'probe.passed', detail: 'HTTP 200' });
    expect(p.states.at(-1)).toBe('ready');
    expect(p.did.filter((what) => what === 'spawn')).toHaveLength(1);
    p.actor.send({ type: 'stop', why: 'over' });
    p.actor.send({ type: 'spec.changed', spec });
    p.pass(700);
    expect(p.did).toContain('TERM');
    expect(p.did).not.toContain('KILL');
    p.pass(200);
    expect(p.did).toContain('KILL');
    p.world(exited(null, 'SIGKILL'));
    expect(p.states.at(-1)).toBe('stopped');
    expect(p.context().unexpected).toEqual([]);
  });

  it('counts exit code 0 of a wanted process as a failure, and of a process that is expected to end as success', async () => {
    const server = start();
    await server.live();
    server.world(exited(0));
    expect(server.states.at(-1)).toBe('failed');
    expect(server.context()).toMatchObject({ exitCode: 0, why: 'ended with exit code 0' });

    const step = start({ id: 's', terminates: true });
    await step.live();
    step.world(exited(0));
    expect(step.states.at(-1)).toBe('stopped');
    expect(step.context().why).toBe('completed');
  });

  it('ends a process that should have ended when its time is over', async () => {
    const step = start({ id: 's', terminates: true, endTimeoutMs: 5_000 });
    await step.live();
    step.probe({ type: 'probe.passed', detail: 'running' });
    step.pass(4_900);
    expect(step.states.at(-1)).toBe('ready');
    step.pass(200);
    expect(step.did).toContain('TERM');
    step.world(exited(null, 'SIGTERM'));
    expect(step.states.at(-1)).toBe('failed');
    expect(step.context().why).toBe('did not end within 5 s');
  });

  it('names the signal that ended it', async () => {
    const p = start();
    await p.live();
    p.world(exited(null, 'SIGKILL'));
    expect(p.context()).toMatchObject({ signal: 'SIGKILL', why: 'ended by SIGKILL' });
  });

  it('stops with TERM, and with KILL after the grace', async () => {
    const p = start({ id: 'p', graceMs: 1_000 });
    await p.live();
    p.actor.send({ type: 'stop', why: 'not wanted' });
    expect(p.did).toContain('TERM');
    p.pass(950);
    expect(p.did).not.toContain('KILL');
    p.pass(100);
    expect(p.did.at(-1)).toBe('KILL');
    p.world(exited(null, 'SIGKILL'));
    expect(p.states.at(-1)).toBe('stopped');
    expect(p.context().unexpected).toEqual([]);
  });

  it('repeats KILL while an unkillable process still exists', async () => {
    const p = start({ id: 'p', graceMs: 500 });
    await p.live();
    p.actor.send({ type: 'stop', why: 'not wanted' });
    p.pass(2_100);
    expect(p.did.filter((what) => what === 'KILL').length).toBeGreaterThanOrEqual(3);
    expect(p.states.at(-1)).toBe('stopping');
  });

  it('fails when it is not ready in time, after it was stopped', async () => {
    const p = start({ id: 'p', startTimeoutMs: 2_000 });
    await p.live();
    p.pass(2_050);
    expect(p.states.at(-1)).toBe('stopping');
    p.world(exited(null, 'SIGTERM'));
    expect(p.states.at(-1)).toBe('failed');
    expect(p.context().why).toContain('not ready after 2 s');
  });

  it('is degraded while probes fail, and fails after its own long limit', async () => {
    const p = start({ id: 'p', unhealthyAfterMs: 10_000 });
    await p.live();
    p.probe({ type: 'probe.passed', detail: 'ok' });
    p.probe({ type: 'probe.failed', detail: 'slow', forMs: 0 });
    expect(p.states.at(-1)).toBe('degraded');
    p.pass(9_000);
    p.probe({ type: 'probe.passed', detail: 'ok again' });
    expect(p.states.at(-1)).toBe('ready');
    p.probe({ type: 'probe.failed', detail: 'slow', forMs: 6_000 });
    p.pass(3_900);
    expect(p.states.at(-1)).toBe('degraded');
    // The limit counts from the first failure, and not from its detection.
    p.pass(200);
    expect(p.states.at(-1)).toBe('stopping');
    p.world(exited(0));
    expect(p.states.at(-1)).toBe('failed');
    expect(p.context().why).toContain('unhealthy for 10 s');
  });

  it('does not start a process that is no longer wanted', async () => {
    const p = start();
    p.actor.send({ type: 'stop', why: 'changed' });
    expect(p.states).toEqual(['waiting', 'stopped']);
    expect(p.did).toEqual([]);
  });

  it('fails with the reason when its files cannot be made or its command does not exist', async () => {
    const files = start({ id: 'p' }, () => Promise.reject(new Error('disk full')));
    files.actor.send({ type: 'resources.free' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(files.states.at(-1)).toBe('failed');
    expect(files.context().why).toBe('disk full');

    const command = start();
    await command.live();
    command.world({ type: 'process.spawnFailed', error: 'command not found: etcd' });
    expect(command.states.at(-1)).toBe('failed');
    expect(command.context().why).toBe('command not found: etcd');
  });

  it('ignores a late answer of a probe, in every state of a live process', async () => {
    const p = start();
    await p.live();
    p.actor.send({ type: 'stop', why: 'x' });
    p.probe({ type: 'probe.passed', detail: 'late' });
    p.actor.send({ type: 'stop', why: 'again' });
    expect(p.states.at(-1)).toBe('stopping');
    expect(p.context().unexpected).toEqual([]);
  });

  it.each([
    ['starts', []],
    ['is ready', ['probe.passed']],
    ['is degraded', ['probe.passed', 'hang.suspected']],
  ] as const)(
    'fails because of a fatal line in its log while it %s, but not while it is being stopped',
    async (_, before) => {
      const p = start();
      await p.live();
      for (const type of before) p.actor.send({ type, detail: 'x' });
      p.actor.send({ type: 'log.fatal', line: 'Rank0 Task exit code: 1' });
      expect(p.states.at(-1)).toBe('stopping');
      p.actor.send({ type: 'log.fatal', line: 'another' });
      p.world(exited(0));
      expect(p.states.at(-1)).toBe('failed');
      expect(p.context()).toMatchObject({ why: 'its log says: Rank0 Task exit code: 1', unexpected: [] });
      const q = start({ id: 'q' });
      await q.live();
      q.actor.send({ type: 'stop', why: 'not wanted' });
      q.actor.send({ type: 'log.fatal', line: 'Rank0 Task exit code: 143' });
      q.world(exited(0));
      expect(q.states.at(-1)).toBe('stopped');
      expect(q.context().unexpected).toEqual([]);
    },
  );

  it('splits a timer of more than 2^31 ms, which Node would fire at once', async () => {
    const p = start({ id: 'p', startTimeoutMs: 2 ** 40 });
    await p.live();
    p.pass(1_000);
    expect(p.states.at(-1)).toBe('starting');
  });

  it('reports a hang before it is stopped for it, and ignores a hang while it is stopping', async () => {
    const p = start();
    await p.live();
    p.probe({ type: 'probe.passed', detail: 'HTTP 200' });
    p.actor.send({ type: 'hang.suspected', detail: 'hung: no token' });
    expect(p.context().why).toBe('hung: no token');
    p.probe({ type: 'probe.passed', detail: 'HTTP 200' });
    p.actor.send({ type: 'hang.detected', detail: 'hung: no token; stacks in x' });
    p.actor.send({ type: 'hang.detected', detail: 'again' });
    p.world(exited(0));
    expect(p.states.slice(3)).toEqual(['ready', 'degraded', 'ready', 'stopping', 'failed']);
    expect(p.context()).toMatchObject({
      failure: 'hung',
      why: 'hung: no token; stacks in x',
      unexpected: [],
    });
  });
});
