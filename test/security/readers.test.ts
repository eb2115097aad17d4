import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createOutbox } from '../../src/messages/bus/outbox.ts';
import { streamOf, subjectsOf } from '../../src/messages/events/subjects.ts';
import { startTestBus, type TestBus, until } from '../support/bus.ts';

const JOB = 'job.7';
const s = subjectsOf(JOB);
const STREAM = streamOf(JOB);
let bus: TestBus;
const open: NatsConnection[] = [];
beforeAll(async () => {
  bus = await startTestBus(JOB, ['node1']);
});
afterAll(() => bus?.stop());
afterEach(async () => {
  await Promise.all(open.splice(0).map((connection) => connection.close()));
});

/** Connects as other programs do: with the address and the key of readers, and every other option at its default. */
async function reader(): Promise<NatsConnection> {
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(bus.keys.reader.seed));
  const connection = await connect({ servers: bus.nats.url, authenticator });
  open.push(connection);
  return connection;
}

/** Collects what arrives on `subject`. */
function listen(connection: NatsConnection, subject: string): { subject: string; text: string }[] {
  const heard: { subject: string; text: string }[] = [];
  connection.subscribe(subject, {
    callback: (error, message) => {
      if (!error) heard.push({ subject: message.subject, text: message.string() });
    },
  });
  return heard;
}

const kept = async (why: string) => {
  const coordinator = await bus.coordinator();
  const outbox = createOutbox({
    ...{ bus: coordinator, job: JOB, source: `coordinator:${why}`, now: () => new Date() },
  });
  outbox.send({ kind: 'agent.transition', node: 'node1', from: null, to: 'expected', why });
  expect(await outbox.flush(5_000)).toBe(true);
};

describe('a reader of the bus', () => {
  it('sees what is public, as it happens, and no request, desired state or log', async () => {
    const connection = await reader();
    const heard = listen(connection, s.everything);
    await connection.flush();
    const agent = await bus.agent('node1');
    const coordinator = await bus.coordinator();
    for (const subject of [s.desired('node1'), s.cancel, s.log('node1', 'p'), s.allDesired])
      coordinator.publish(subject, { secret: true });
    await coordinator.settled();
    agent.publish(s.heartbeat('node1'), { public: 'heartbeat' });
    agent.publish(s.telemetrySamples('node1'), { public: 'samples' });
    agent.publish(s.telemetrySeries('node1'), { public: 'series' });
    await agent.settled();
    coordinator.publish(s.pointProgress(0), { public: 'progress' });
    await coordinator.settled();
    await kept('live');
    await until('all that is public', () => heard.length >= 5);
    expect(heard.map(({ subject }) => subject).sort()).toEqual(
      [
        s.heartbeat('node1'),
        s.telemetrySamples('node1'),
        s.telemetrySeries('node1'),
        s.pointProgress(0),
        s.kept('agent.transition', { node: 'node1' }),
      ].sort(),
    );
  });

  it('replays what was kept before it came', async () => {
    await kept('earlier');
    const connection = await reader();
    const consumer = await connection.jetstream().consumers.get(STREAM);
    const messages = await consumer.fetch({ max_messages: 100, expires: 2_000 });
    const whys: unknown[] = [];
    for await (const message of messages) {
      const { why } = message.json<{ why: string }>();
      whys.push(why);
      if (why === 'earlier') break;
    }
    expect(whys).toContain('earlier');
  });

  it('that stands still takes nothing from an agent or from another reader', async () => {
    const script = `const { connect, nkeyAuthenticator } = require('nats');
      const authenticator = nkeyAuthenticator(new TextEncoder().encode(process.env.SEED));
      connect({ servers: process.env.URL, authenticator }).then(async (connection) => {
        connection.subscribe('${s.telemetrySamples('*')}', { callback: () => undefined });
        await connection.flush();
        console.log('reads');
      });`;
    const env = { ...process.env, SEED: bus.keys.reader.seed, URL: bus.nats.url };
    const stalled = spawn(process.execPath, ['-e', script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(stalled.stdout, 'data');
      stalled.kill('SIGSTOP');
      const connection = await reader();
      let heard = 0;
      connection.subscribe(s.telemetrySamples('*'), { callback: () => heard++ });
      await connection.flush();
      const agent = await bus.agent('node1');
      // As much as a thousand agents send in the ten seconds after which nats-server disconnects the reader.
      const batch = { samples: 'x'.repeat(900_000) };
      for (let at = 0; at < 40; at++) {
        agent.publish(s.telemetrySamples('node1'), batch);
        await agent.settled();
      }
      await until('all batches at the other reader', () => heard === 40);
    } finally {
      stalled.kill('SIGKILL');
    }
  });

  it('publishes nothing, and subscribes to nothing of other accounts', async () => {
    const connection = await reader();
    const refused: string[] = [];
    void (async () => {
      for await (const { permissionContext } of connection.status())
        if (permissionContext) refused.push(`${permissionContext.operation} ${permissionContext.subject}`);
    })();
    const publish = [
      ...[s.desired('node1'), s.allDesired, s.allLease, s.cancel, s.hello('node1'), s.heartbeat('node1')],
      ...[s.log('node1', 'p'), s.kept('sweep.transition'), s.kept('point.result', { ordinal: 0 })],
      ...['DELETE', 'PURGE', 'UPDATE'].map((what) => `$JS.API.STREAM.${what}.${STREAM}`),
      '$JS.API.STREAM.CREATE.other',
      '$SYS.REQ.SERVER.PING',
      '_INBOX.of.another',
    ];
    for (const subject of publish) connection.publish(subject, '{}');
    for (const subject of ['>', '$SYS.>']) listen(connection, subject);
    await connection.flush();
    await until('a refusal of each', () => refused.length >= publish.length + 2);
    expect(refused.sort()).toEqual(
      [
        ...publish.map((subject) => `publish ${subject}`),
        ...['>', '$SYS.>'].map((x) => `subscription ${x}`),
      ].sort(),
    );
  });

  it('cannot have the server answer to an agent, to the coordinator or into the job’s own stream', async () => {
    const agents = await connect({
      servers: bus.nats.url,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(bus.keys.agents.get('node1')?.seed)),
    });
    const coordinators = await connect({
      servers: bus.nats.url,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(bus.keys.coordinator.seed)),
    });
    open.push(agents, coordinators);
    const heard = [listen(agents, s.desired('node1')), listen(coordinators, s.everything)];
    await Promise.all([agents.flush(), coordinators.flush()]);
    await kept('to be redirected');
    const connection = await reader();
    const targets = [s.desired('node1'), s.cancel, s.kept('sweep.transition')];
    for (const target of targets) {
      connection.publish(`$JS.API.STREAM.INFO.${STREAM}`, undefined, { reply: target });
      const push = { deliver_subject: target, deliver_policy: 'all', ack_policy: 'none' };
      const request = JSON.stringify({ stream_name: STREAM, config: push });
      // The server answers, or refuses such a consumer; both are fine.
      await connection
        .request(`$JS.API.CONSUMER.CREATE.${STREAM}`, request, { timeout: 5_000 })
        .catch(() => undefined);
    }
    await connection.flush();
    // What the coordinator says after that arrives, so what was directed to it would have come before.
    await kept('after it');
    await until('the last message', () => heard[1]?.some(({ text }) => text.includes('after it')));
    expect(heard[0]).toEqual([]);
    expect(heard[1]?.map(({ subject }) => subject)).not.toContain(s.cancel);
    expect(heard[1]?.filter(({ subject }) => subject === s.kept('sweep.transition'))).toEqual([]);
  });
});
