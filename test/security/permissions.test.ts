import { connect, headers, type NatsConnection, nkeyAuthenticator } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createStreams } from '../../src/coordinator/bus-server/stream.ts';
import { inboxOf } from '../../src/messages/bus/nats-bus.ts';
import { createOutbox } from '../../src/messages/bus/outbox.ts';
import { allDesiredSchema, desiredSchema } from '../../src/messages/events/control.ts';
import type { SrtEvent } from '../../src/messages/events/events.ts';
import { streamOf, subjectsOf } from '../../src/messages/events/subjects.ts';
import { startTestBus, type TestBus, until } from '../support/bus.ts';

const JOB = 'job-9';
const s = subjectsOf(JOB);
const STREAM = streamOf(JOB);
const anything = z.record(z.string(), z.unknown());
let bus: TestBus;
const open: NatsConnection[] = [];
beforeAll(async () => {
  bus = await startTestBus(JOB, ['node1', 'node2'], undefined, { exec: true });
});
afterAll(() => bus?.stop());
afterEach(async () => {
  await Promise.all(open.splice(0).map((connection) => connection.close()));
});

/** A client that obeys no rule but the server's. */
async function hostile(seed?: string, inbox?: string) {
  const connection = await connect({
    servers: bus.nats.url,
    ...(seed === undefined ? {} : { authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) }),
    ...(inbox === undefined ? {} : { inboxPrefix: inbox }),
  });
  open.push(connection);
  const refused: string[] = [];
  void (async () => {
    for await (const status of connection.status())
      if (status.permissionContext)
        refused.push(`${status.permissionContext.operation} ${status.permissionContext.subject}`);
  })();
  /** The given subjects on which the server refuses the operation. */
  const refuses = async (operation: 'publish' | 'subscription', subjects: readonly string[]) => {
    refused.length = 0;
    for (const subject of subjects)
      if (operation === 'publish') connection.publish(subject, '{}');
      else connection.subscribe(subject, { callback: () => undefined });
    await connection.flush();
    const told = () => refused.filter((line) => line.startsWith(operation));
    await until(`${subjects.length} refusals`, () => told().length >= subjects.length).catch(() => undefined);
    return subjects.filter((subject) => told().includes(`${operation} ${subject}`));
  };
  return { connection, refused, refuses };
}
const agent = (node: string) => hostile(bus.keys.agents.get(node)?.seed, inboxOf('agent', node));
const operator = () => hostile(bus.keys.operator.seed, inboxOf('operator'));

const administration = [
  `$JS.API.STREAM.DELETE.${STREAM}`,
  `$JS.API.STREAM.PURGE.${STREAM}`,
  `$JS.API.STREAM.UPDATE.${STREAM}`,
  `$JS.API.STREAM.CREATE.other`,
  `$JS.API.STREAM.MSG.DELETE.${STREAM}`,
  '$JS.API.ACCOUNT.PURGE.SRT',
];

describe('the server refuses', () => {
  it('an agent: all subjects of other agents, of the coordinator and of the stream', async () => {
    const { refuses } = await agent('node1');
    const publish = [
      s.hello('node2'),
      s.heartbeat('node2'),
      s.kept('process.transition', { node: 'node2', process: 'p' }),
      s.desired('node1'),
      s.desired('node2'),
      s.allDesired,
      s.allLease,
      s.kept('agent.transition', { node: 'node1' }),
      s.kept('point.transition', { ordinal: 0 }),
      s.kept('point.result', { ordinal: 0 }),
      s.pointProgress(0),
      s.kept('sweep.transition'),
      s.log('node2', 'p'),
      s.exec('node1'),
      s.exec('node2'),
      s.cancel,
      `${inboxOf('agent', 'node2')}.x`,
      `${inboxOf('coordinator')}.x`,
      `${inboxOf('operator')}.x`,
      '$SYS.REQ.SERVER.PING',
      ...administration,
    ];
    expect(await refuses('publish', publish)).toEqual(publish);
    const subscribe = [
      '>',
      s.everything,
      s.desired('node2'),
      s.log('node2', '*'),
      s.exec('node2'),
      s.hello('*'),
      s.heartbeat('node2'),
      `${inboxOf('agent', 'node2')}.>`,
      `${inboxOf('coordinator')}.>`,
      '_INBOX_agent_*.>',
      '$SYS.>',
    ];
    expect(await refuses('subscription', subscribe)).toEqual(subscribe);
  });

  it('the operator: commands, questions and answers of others, and changes of the stream', async () => {
    const { refuses } = await operator();
    const publish = [
      s.desired('node1'),
      s.allDesired,
      s.allLease,
      s.hello('node1'),
      s.heartbeat('node1'),
      s.kept('process.transition', { node: 'node1', process: 'p' }),
      s.kept('sweep.transition'),
      `${inboxOf('agent', 'node1')}.x`,
      `${inboxOf('coordinator')}.x`,
      ...administration,
    ];
    expect(await refuses('publish', publish)).toEqual(publish);
    // A subscriber to hello could answer it with processes to start.
    const subscribe = [
      s.everything,
      s.hello('*'),
      s.desired('*'),
      s.exec('*'),
      s.cancel,
      `${inboxOf('agent', 'node1')}.>`,
      `${inboxOf('coordinator')}.>`,
      '$SYS.>',
    ];
    expect(await refuses('subscription', subscribe)).toEqual(subscribe);
  });

  it("the coordinator's user in the system account: anything but listening", async () => {
    const { refuses } = await hostile(bus.keys.system.seed, inboxOf('system'));
    const publish = ['$SYS.REQ.SERVER.PING', '$SYS.ACCOUNT.SRT.DISCONNECT', s.allDesired];
    expect(await refuses('publish', publish)).toEqual(publish);
  });

  it('an engine: the stream, the system account and a disk full of its messages', async () => {
    const { connection } = await hostile();
    const ask = (subject: string, body = '', timeout = 20_000) =>
      connection.request(subject, body, { timeout }).then(
        (reply) => reply.string(),
        (error: Error) => `refused: ${error.message}`,
      );
    expect(await ask('$SYS.REQ.SERVER.PING', '', 500)).toMatch(/^refused/);
    expect(await ask('$SYS.REQ.ACCOUNT.SRT.CONNZ', '', 500)).toMatch(/^refused/);
    // From an account that it cannot name it could delete the streams, in nats-server before 2.10.27.
    for (const account of ['SRT', 'SRT_', '*']) {
      expect(await ask(`$JS.API.ACCOUNT.PURGE.${account}`, '', 500)).toMatch(/^refused/);
      connection.publish('big', '{}', { reply: `$JS.API.ACCOUNT.PURGE.${account}` });
    }
    expect(await ask('$SYS.REQ.ACCOUNT.PING.CONNZ')).not.toContain('SRT');
    expect(await ask(`$JS.API.STREAM.INFO.${STREAM}`)).toContain('not found');
    const large = { name: 'big', subjects: ['big'], retention: 'limits', storage: 'file', discard: 'old' };
    const common = { max_consumers: -1, max_msgs: -1, max_age: 0, num_replicas: 1 };
    const create = (size: number) =>
      ask('$JS.API.STREAM.CREATE.big', JSON.stringify({ ...large, ...common, max_bytes: size }));
    expect(await create(3_000_000_000)).toContain('insufficient storage');
    expect(await create(1_000_000)).toContain('"config"');
    connection.publish('big', '{}', { reply: '$JS.API.ACCOUNT.PURGE.SRT' });
    await connection.flush();
    await keptEvent(await bus.coordinator(), 'still there');
  });

  it("an engine: more streams and consumers than its account allows, and it cannot delay srtctl's own messages", async () => {
    const { connection } = await hostile();
    const api = (subject: string, body: object) =>
      connection
        .request(`$JS.API.${subject}`, JSON.stringify(body), { timeout: 20_000 })
        .then((reply) => reply.json<{ error?: { description: string } }>().error?.description);
    const untilRefused = async (most: number, ask: (number: number) => Promise<string | undefined>) => {
      for (let number = 0; number < most; number++) {
        const refusal = await ask(number);
        if (refusal !== undefined) return { number, refusal };
      }
      return { number: most, refusal: '' };
    };
    const streams = await untilRefused(2_000, (number) =>
      api(`STREAM.CREATE.flood-${number}`, {
        ...{ name: `flood-${number}`, subjects: [`flood.${number}`], retention: 'limits', storage: 'memory' },
        ...{ discard: 'old', max_consumers: -1, max_msgs: -1, max_bytes: 1_000, max_age: 0, num_replicas: 1 },
      }),
    );
    expect(streams.refusal).toMatch(/maximum number of streams/);
    const consumers = await untilRefused(3_000, (number) =>
      api(`CONSUMER.DURABLE.CREATE.flood-0.c${number}`, {
        stream_name: 'flood-0',
        config: { durable_name: `c${number}`, ack_policy: 'explicit', deliver_policy: 'all' },
      }),
    );
    expect(consumers.refusal).toMatch(/maximum consumers/);
    // One engine publishes as fast as it can, and many others listen.
    const listeners = Array.from({ length: 20 }, () => connection.subscribe('loud', { callback: () => {} }));
    const coordinator = await bus.coordinator();
    let isLoud = true;
    const loud = (async () => {
      const body = new Uint8Array(10_000);
      while (isLoud) {
        for (let number = 0; number < 50; number++) connection.publish('loud', body);
        await connection.flush();
      }
    })();
    try {
      for (const text of ['one', 'two', 'three']) await keptEvent(coordinator, `kept in the noise, ${text}`);
    } finally {
      isLoud = false;
      await loud;
      for (const listener of listeners) listener.unsubscribe();
    }
    for (let number = 0; number < streams.number; number++) await api(`STREAM.DELETE.flood-${number}`, {});
  });
});

describe('commands on nodes (bus.exec)', () => {
  it('only the operator may ask for them, and only the agent of the node hears it', async () => {
    const heard: string[] = [];
    for (const node of ['node1', 'node2']) {
      const { connection } = await agent(node);
      connection.subscribe(s.exec(node), { callback: (_, { subject }) => heard.push(subject) });
      await connection.flush();
    }
    const { connection, refused } = await operator();
    connection.publish(s.exec('node1'), '{}');
    await connection.flush();
    await until('the request', () => heard.length > 0);
    expect({ heard, refused }).toEqual({ heard: [s.exec('node1')], refused: [] });
    const reader = await hostile(bus.keys.reader.seed, '_INBOX');
    const librarian = await hostile(bus.keys.librarian.seed, inboxOf('librarian'));
    for (const { refuses } of [reader, librarian])
      expect(await refuses('publish', [s.exec('node1')])).toEqual([s.exec('node1')]);
    const engine = await hostile();
    engine.connection.publish(s.exec('node1'), '{}');
    await engine.connection.flush();
    // A second request of the operator would come after those of the others.
    connection.publish(s.exec('node2'), '{}');
    await until('the second request', () => heard.length > 1);
    expect(heard).toEqual([s.exec('node1'), s.exec('node2')]);
  });

  it('with bus.exec: false no operator may ask, and no agent may listen', async () => {
    const off = await startTestBus(JOB, ['node1'], undefined, { exec: false });
    try {
      const denied: string[] = [];
      const note = (error: Error) => denied.push(error.message);
      (await off.operator(note)).publish(s.exec('node1'), {});
      (await off.agent('node1', note)).subscribe(s.exec('node1'), anything, () => {});
      await until('two refusals', () => denied.length >= 2);
      expect(denied.join()).toContain('publish');
      expect(denied.join()).toContain(s.exec('node1'));
    } finally {
      await off.stop();
    }
  });
});

describe('impersonation', () => {
  it('no role can make another role publish on a subject of its choice', async () => {
    const coordinator = await bus.coordinator();
    const honest = await bus.agent('node2');
    let asked = 0;
    coordinator.subscribe(s.hello('*'), anything, ({ respond }) => {
      asked++;
      respond({ keep: 0 });
    });
    coordinator.subscribe(s.cancel, anything, ({ respond }) => {
      asked++;
      respond({});
    });
    honest.subscribe(s.log('node2', '*'), anything, ({ respond }) => {
      asked++;
      respond({ keep: 0 });
    });
    const victim: string[] = [];
    honest.subscribe(s.desired('node2'), anything, ({ subject }) => victim.push(subject));
    honest.subscribe(s.all, anything, ({ subject }) => victim.push(subject));
    await Promise.all([coordinator.settled(), honest.settled()]);
    const before = await keptEvent(coordinator, 'kept');
    const targets = [...administration, s.desired('node2'), s.allDesired, s.kept('sweep.transition')];
    const [first, second] = [await agent('node1'), await operator()];
    for (const reply of targets) {
      first.connection.publish(s.hello('node1'), '{}', { reply });
      second.connection.publish(s.cancel, '{}', { reply });
      second.connection.publish(s.log('node2', 'p'), '{}', { reply });
      // The server itself acknowledges stored messages, on any reply subject.
      first.connection.publish(s.kept('process.transition', { node: 'node1', process: 'p' }), '{}', {
        reply,
      });
    }
    await until('all to be asked', () => asked >= targets.length * 3);
    await Promise.all([coordinator.settled(), honest.settled()]);
    expect(victim.filter((subject) => subject === s.kept('sweep.transition'))).toEqual([]);
    const heard: SrtEvent[] = [];
    const late = await bus.operator();
    late.follow(1, (event) => heard.push(event));
    await until('what was kept before', () => heard.some((event) => event.seq === before));
    // An acknowledgement on a command's subject is not a command.
    expect(desiredSchema.safeParse({ stream: STREAM, seq: 1 }).success).toBe(false);
    expect(allDesiredSchema.safeParse({ stream: STREAM, seq: 1 }).success).toBe(false);
  });

  it("an event on an agent's own subject that claims to be about another node is ignored", async () => {
    const { connection } = await agent('node1');
    const follower = await bus.operator();
    const seen: SrtEvent[] = [];
    follower.follow(1, (event) => seen.push(event));
    const real = {
      ...{ v: 1, at: 'now', source: 'agent:node1:i', seq: 1, kind: 'process.transition', node: 'node1' },
      ...{ process: 'mine', role: 'agg', from: null, to: 'waiting', why: 'w', pid: null, exitCode: null },
      ...{ signal: null, generation: 1, logFile: '/x' },
    };
    const say = (over: object) =>
      connection.publish(
        s.kept('process.transition', { node: 'node1', process: 'mine' }),
        JSON.stringify({ ...real, ...over }),
      );
    say({ node: 'node2', source: 'agent:node2:i' });
    say({ process: 'other' });
    say({ source: 'coordinator:1' });
    say({ source: 'agent:node2:i' });
    say({
      ...{ kind: 'sweep.transition', source: 'coordinator:1', from: null, to: 'finished', points: 1 },
      ...{ exitCode: 0, cause: null },
    });
    say({ seq: 2 });
    await until('the true one', () => seen.some((event) => event.source === 'agent:node1:i'));
    expect(seen.filter((event) => event.source.startsWith('agent:')).map((event) => event.seq)).toEqual([2]);
    expect(seen.some((event) => event.kind === 'sweep.transition' && event.to === 'finished')).toBe(false);
    expect(follower.status.malformed).toBeGreaterThanOrEqual(5);
  });

  it("a foreseen message id does not turn the coordinator's own message into a duplicate", async () => {
    const { connection } = await agent('node1');
    for (let seq = 1; seq <= 5; seq++) {
      const header = headers();
      header.set('Nats-Msg-Id', `coordinator:7:${seq}`);
      connection.publish(s.kept('process.transition', { node: 'node1', process: 'p' }), '{}', {
        headers: header,
      });
    }
    await connection.flush();
    const coordinator = await bus.coordinator();
    await keptEvent(coordinator, 'foreseen', 'coordinator:7');
    const seen: string[] = [];
    (await bus.operator()).follow(1, (event) => seen.push(event.source));
    await until('the coordinator’s event', () => seen.includes('coordinator:7'));
  });

  it('a restarted coordinator can create the stream again, but no other role can empty it', async () => {
    await createStreams(bus.keys, { url: bus.nats.url, jobId: JOB });
    const { refuses } = await hostile(bus.keys.coordinator.seed, inboxOf('coordinator'));
    const emptying = administration.filter((subject) => !/UPDATE/.test(subject));
    expect(await refuses('publish', emptying)).toEqual(emptying);
  });
});

let events = 0;
async function keptEvent(
  coordinator: Awaited<ReturnType<TestBus['coordinator']>>,
  why: string,
  source = 'coordinator:1',
) {
  const outbox = createOutbox({
    bus: coordinator,
    job: JOB,
    source,
    firstSeq: ++events * 100,
    now: () => new Date(0),
  });
  const body = { kind: 'sweep.transition', from: null, to: 'booting', why, points: 1 } as const;
  outbox.send({ ...body, exitCode: null, cause: null });
  expect(await outbox.flush(30_000)).toBe(true);
  return events * 100;
}
