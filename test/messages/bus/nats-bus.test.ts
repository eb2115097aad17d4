import { connect } from 'nats';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { BusTimeout } from '../../../src/messages/bus/bus.ts';
import { createOutbox } from '../../../src/messages/bus/outbox.ts';
import type { SrtEvent } from '../../../src/messages/events/events.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import { startTestBus, type TestBus, until } from '../../support/bus.ts';

const JOB = 'job-1';
const s = subjectsOf(JOB);
const anything = z.record(z.string(), z.unknown());
let bus: TestBus;
beforeAll(async () => {
  bus = await startTestBus(JOB, ['node1', 'gpu.node2']);
});
afterAll(() => bus?.stop());

const sweepEvent = (why: string) =>
  ({
    kind: 'sweep.transition',
    from: null,
    to: 'booting',
    why,
    points: 1,
    exitCode: null,
    cause: null,
  }) as const;

describe('permissions on the bus', () => {
  it('lets an agent use its own subjects and refuses those of another agent', async () => {
    const denied: string[] = [];
    const heard: string[] = [];
    const coordinator = await bus.coordinator();
    coordinator.subscribe(s.heartbeat('*'), anything, ({ subject }) => heard.push(subject));
    coordinator.subscribe(`${s.root}.process.>`, anything, ({ subject }) => heard.push(subject));
    await coordinator.settled();
    const agent = await bus.agent('node1', (error) => denied.push(error.message));
    agent.publish(s.heartbeat('node1'), { mine: true });
    agent.publish(s.heartbeat('gpu.node2'), { forged: true });
    agent.publish(s.kept('process.transition', { node: 'gpu.node2', process: 'p' }), { forged: true });
    agent.publish(s.desired('gpu.node2'), { forged: true });
    agent.publish(s.allDesired, { forged: true });
    agent.publish(s.heartbeat('node1'), { mine: 'last' });
    await until('both own heartbeats', () => heard.length >= 2);
    expect(heard).toEqual([s.heartbeat('node1'), s.heartbeat('node1')]);
    await until('every refusal to be told', () => denied.length >= 4);
    expect(denied.join()).toContain(s.heartbeat('gpu.node2'));
    expect(denied.join()).toContain(s.allDesired);
  });

  it('refuses an agent that subscribes to another agent’s desired state', async () => {
    const denied: string[] = [];
    const agent = await bus.agent('node1', (error) => denied.push(error.message));
    agent.subscribe(s.desired('gpu.node2'), anything, () => {});
    await until('the refusal', () => denied.length > 0);
  });

  it('lets the operator watch and cancel, and not command', async () => {
    const denied: string[] = [];
    const operator = await bus.operator((error) => denied.push(error.message));
    const coordinator = await bus.coordinator();
    coordinator.subscribe(s.cancel, anything, ({ respond }) => respond({ accepted: true }));
    await coordinator.settled();
    expect(await operator.request(s.cancel, {}, anything, 20_000)).toEqual({ accepted: true });
    operator.publish(s.desired('node1'), { forged: true });
    await until('the refusal', () => denied.some((text) => text.includes(s.desired('node1'))));
  });

  it('shows no message of SRT to a connection without a key, and lets an engine use its own account', async () => {
    const engine = await connect({ servers: bus.nats.url });
    const seen: string[] = [];
    engine.subscribe('>', { callback: (_, message) => void seen.push(message.subject) });
    await engine.flush();
    const coordinator = await bus.coordinator();
    const agent = await bus.agent('node1');
    const heard: string[] = [];
    coordinator.subscribe(s.heartbeat('*'), anything, ({ subject }) => heard.push(subject));
    await coordinator.settled();
    engine.publish(s.heartbeat('node1'), JSON.stringify({ forged: true }));
    engine.publish('dynamo.backend', 'hello');
    agent.publish(s.heartbeat('node1'), { real: true });
    await until('the real heartbeat', () => heard.length > 0);
    await until('the engine’s own message', () => seen.includes('dynamo.backend'));
    expect(heard).toHaveLength(1);
    expect(
      seen.filter((subject) => subject !== 'dynamo.backend' && subject !== s.heartbeat('node1')),
    ).toEqual([]);
    await engine.close();
  });

  it('refuses a key of another job', async () => {
    const { createJobKeys } = await import('../../../src/coordinator/bus-server/keys.ts');
    const { connectBus } = await import('../../../src/messages/bus/nats-bus.ts');
    const stranger = createJobKeys([]).coordinator.seed;
    await expect(
      connectBus({ url: bus.nats.url, seed: stranger, job: JOB, name: 'x', inbox: '_INBOX_x' }),
    ).rejects.toThrow(/cannot reach the bus/);
  });
});

describe('the adapter', () => {
  it('goes on receiving after a handler threw, and counts the error', async () => {
    const a = await bus.coordinator();
    const b = await bus.coordinator();
    const heard: unknown[] = [];
    a.subscribe(`${s.root}.control.test`, anything, ({ message }) => {
      heard.push(message.n);
      if (message.n === 1) throw new Error('handler bug');
    });
    await a.settled();
    for (const n of [1, 2, 3]) b.publish(`${s.root}.control.test`, { n });
    await until('all three', () => heard.length === 3);
    expect(a.status.handlerErrors).toBe(1);
  });

  it('drops and counts messages that are not JSON or do not match the schema', async () => {
    const a = await bus.coordinator();
    const b = await bus.coordinator();
    const heard: unknown[] = [];
    a.subscribe(`${s.root}.control.strict`, z.object({ n: z.number() }), ({ message }) =>
      heard.push(message.n),
    );
    await a.settled();
    b.publish(`${s.root}.control.strict`, { n: 'no number' });
    b.publish(`${s.root}.control.strict`, { n: 7 });
    await until('the good one', () => heard.length === 1);
    expect(a.status.malformed).toBe(1);
  });

  it('reports that no one answered, and refuses a message over the limit', async () => {
    const a = await bus.coordinator();
    const b = await bus.coordinator();
    b.subscribe(`${s.root}.control.mute`, anything, () => {});
    await b.settled();
    await expect(a.request(`${s.root}.control.mute`, {}, anything, 200)).rejects.toBeInstanceOf(BusTimeout);
    expect(() => a.publish(s.cancel, { text: 'x'.repeat(1_100_000) })).toThrow(/exceeds the limit/);
  });
});

describe('a client', () => {
  it('does not mistake the refusal of an abandoned answer for the refusal of its own message', async () => {
    const denied: string[] = [];
    const [agent, coordinator] = [
      await bus.agent('node1', (error) => denied.push(error.message)),
      await bus.coordinator(),
    ];
    agent.subscribe(s.desired('node1'), anything, ({ respond }) => {
      respond({ answer: 1 });
      respond({ answer: 2 });
    });
    await agent.settled();
    expect(await coordinator.request(s.desired('node1'), {}, anything, 5_000)).toEqual({ answer: 1 });
    agent.publish(s.heartbeat('gpu.node2'), {});
    await until('a refusal', () => denied.length > 0);
    expect(denied.join()).toContain(s.heartbeat('gpu.node2'));
    expect(denied).toHaveLength(1);
  });

  it('reconnects at once when the clock was set back by an hour', async () => {
    const [agent, coordinator] = [await bus.agent('node1'), await bus.coordinator()];
    const heard: unknown[] = [];
    coordinator.subscribe(s.heartbeat('node1'), anything, ({ message }) => heard.push(message));
    await coordinator.settled();
    const { now } = Date;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000);
    try {
      const pid = bus.nats.pid ?? 0;
      process.kill(pid, 'SIGKILL');
      await until('a new nats-server', () => bus.nats.pid !== pid);
      await until('a message', () => {
        if (agent.status.connected) agent.publish(s.heartbeat('node1'), {});
        return heard.length > 0;
      });
    } finally {
      clock.mockRestore();
    }
  }, 120_000);
});

describe('kept events', () => {
  it('are all received, once and in order, by a late client, across a kill of nats-server', async () => {
    const coordinator = await bus.coordinator();
    const outbox = createOutbox({
      bus: coordinator,
      job: JOB,
      source: 'coordinator:1',
      now: () => new Date(0),
      retryMs: 20,
    });
    for (let n = 0; n < 50; n++) outbox.send(sweepEvent(`before ${n}`));
    expect(await outbox.flush(30_000)).toBe(true);

    const early: SrtEvent[] = [];
    coordinator.follow(1, (event) => early.push(event));
    await until('the first fifty', () => early.length === 50);
    const pid = bus.nats.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    for (let n = 0; n < 50; n++) outbox.send(sweepEvent(`after ${n}`));
    expect(await outbox.flush(30_000)).toBe(true);
    await until('a new nats-server', () => bus.nats.pid !== pid);

    const operator = await bus.operator();
    const late: SrtEvent[] = [];
    operator.follow(1, (event) => late.push(event));
    await until('all hundred, late', () => late.length >= 100);
    await until('all hundred, early', () => early.length >= 100);
    for (const events of [early, late]) {
      expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    }
  }, 120_000);
});
