import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AgentMessages } from '../../src/coordinator/agents/agent-messages.ts';
import { DEFAULT_SUPERVISION, Roster } from '../../src/coordinator/agents/roster.ts';
import { Fleet } from '../../src/coordinator/fleet/fleet.ts';
import { Journal } from '../../src/coordinator/record/journal.ts';
import { inboxOf } from '../../src/messages/bus/nats-bus.ts';
import { helloReplySchema } from '../../src/messages/events/control.ts';
import { subjectsOf } from '../../src/messages/events/subjects.ts';
import { startTestBus, type TestBus, until } from '../support/bus.ts';
import { brokenTo, noRestarts, postTo, rosterParts } from '../support/roster-parts.ts';

const JOB = 'job-flood';
const s = subjectsOf(JOB);
let bus: TestBus;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
  bus = await startTestBus(JOB, ['node1', 'node2']);
});
afterAll(async () => {
  await bus?.stop();
  rmSync(dir, { recursive: true, force: true });
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const heapMb = (): number => {
  collectGarbage();
  return process.memoryUsage().heapUsed / 1_048_576;
};

/** Messages that a node's agent may repeat, each time with another content. */
const said = (n: number): [string, object][] => {
  const who = { v: 1, node: 'node1', incarnation: `i${n}`, epoch: 1 + n, generation: n };
  const report = {
    id: `p${n}`,
    state: 'failed',
    pid: n,
    generation: n,
    why: 'x'.repeat(500),
    exitCode: 1,
    signal: null,
  };
  const { id: process, state: to, ...end } = report;
  const own = { ...end, process, node: 'node1', role: 'agg', from: null, to, logFile: `/nowhere/${n}` };
  return [
    [s.hello('node1'), { ...who, pid: n, address: '127.0.0.1', processes: [report] }],
    [
      s.heartbeat('node1'),
      { ...who, processes: [report], alive: n, rssBytes: n, malformed: n, leaving: false },
    ],
    [
      s.kept('process.transition', { node: 'node1', process: `p${n}` }),
      { ...own, kind: 'process.transition', v: 1, at: '', source: `agent:node1:${n}`, seq: n + 1 },
    ],
  ];
};

it('an agent that publishes anything as fast as it can does not use up memory and does not hold up others', async () => {
  const coordinator = await bus.coordinator();
  const transitions: string[] = [];
  const roster = new Roster(
    ['node1', 'node2'],
    DEFAULT_SUPERVISION,
    rosterParts({
      onTransition: (node, from, to) => transitions.push(`${node} ${from} ${to}`),
      onReports: (node, reports) => deployment.learn(reports, node),
      onDefect: (what) => transitions.push(what),
    }),
    () => performance.now(),
  );
  const deployment: Fleet = new Fleet({
    restarts: noRestarts(),
    ...{ bus: coordinator, subjects: s, roster, epoch: 1, generation: 0 },
    causes: { causeOf: () => ({ summary: '' }), logTailOf: async () => [] },
    post: brokenTo(() => transitions.push('broken')),
    record: { save: () => undefined },
  });
  const leases: number[] = [];
  new AgentMessages({
    ...{ bus: coordinator, subjects: s, roster, supervision: DEFAULT_SUPERVISION },
    fleet: { desiredOf: (node) => deployment.desiredOf(node), isDecided: true },
    planning: { found: () => undefined },
    clocks: { measure: () => undefined },
    epochLock: { heard: (epoch) => leases.push(epoch), agentObeys: () => undefined },
    post: postTo({}),
    log: { warn: () => undefined },
  }).subscribe();
  const file = join(dir, 'events.jsonl');
  const journal = new Journal(coordinator, file, 1, ({ source }) => void source);
  await coordinator.settled();
  const seed = bus.keys.agents.get('node1')?.seed ?? '';
  const hostile: NatsConnection = await connect({
    servers: bus.nats.url,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
    inboxPrefix: inboxOf('agent', 'node1'),
  });
  try {
    const flood = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        for (const [subject, message] of said(n))
          hostile.publish(subject, JSON.stringify(message), { reply: `${inboxOf('agent', 'node1')}.x` });
        if (n % 200 === 0) await hostile.flush();
      }
      await hostile.flush();
      await until('the events to be written', () => journal.streamSeq >= to, 60_000);
    };
    await flood(0, 2_000);
    const before = heapMb();
    const busy = flood(2_000, 12_000);
    const good = await bus.agent('node2');
    const hello = {
      v: 1,
      node: 'node2',
      incarnation: 'good',
      pid: 1,
      address: '127.0.0.1',
      epoch: 0,
      generation: 0,
    };
    const answer = await good.request(
      s.hello('node2'),
      { ...hello, processes: [] },
      helloReplySchema,
      30_000,
    );
    expect(answer).toMatchObject({ welcome: true });
    await busy;
    // 30,000 messages of a kilobyte.
    expect(heapMb() - before).toBeLessThan(8);
    expect(transitions).toEqual(['node1 expected joined', 'node2 expected joined']);
    expect(leases).toEqual([]);
    expect(statSync(file).size).toBeGreaterThan(12_000 * 500);
  } finally {
    await hostile.close();
    roster.close();
    await journal.close(2_000, []);
  }
}, 180_000);
