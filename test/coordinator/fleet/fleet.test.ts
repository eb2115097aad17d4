import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_SUPERVISION, Roster } from '../../../src/coordinator/agents/roster.ts';
import { Fleet } from '../../../src/coordinator/fleet/fleet.ts';
import type { Bus } from '../../../src/messages/bus/bus.ts';
import { type Desired, desiredSchema, type ProcessReport } from '../../../src/messages/events/control.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import type { Cause } from '../../../src/messages/job-directory/result.ts';
import { startTestBus, type TestBus, until } from '../../support/bus.ts';
import { brokenTo, noRestarts, rosterParts } from '../../support/roster-parts.ts';
import { specOf } from '../../support/spec.ts';

const JOB = 'deployment-test';
const s = subjectsOf(JOB);
let testBus: TestBus;
let coordinator: Bus;
let roster: Roster;
let asked: Desired[];
/** One for each test, because late requests of an earlier test do not count. */
let epoch = 0;
let broken: Cause[];
/** The answers of the agents of node1 and node2. */
let answers: Record<string, (desired: Desired) => unknown>;

const report = (
  id: string,
  state: ProcessReport['state'],
  generation: number,
  over: Partial<ProcessReport> = {},
) => ({
  id,
  state,
  generation,
  pid: 1,
  why: 'test',
  exitCode: null,
  signal: null,
  ...over,
});

beforeAll(async () => {
  testBus = await startTestBus(JOB, ['node1', 'node2']);
  coordinator = await testBus.coordinator();
  for (const node of ['node1', 'node2']) {
    const agent = await testBus.agent(node);
    agent.subscribe(s.desired(node), desiredSchema, ({ message, respond }) => {
      if (message.epoch !== epoch) return;
      asked.push(message);
      const answer = answers[node]?.(message);
      if (answer) respond(answer);
    });
    await agent.settled();
  }
});
afterAll(() => testBus?.stop());
beforeEach(() => {
  epoch++;
  asked = [];
  broken = [];
  const accept = ({ generation }: Desired) => ({ v: 1, accepted: true, generation, processes: [] });
  answers = { node1: accept, node2: accept };
  roster = new Roster(['node1', 'node2'], DEFAULT_SUPERVISION, rosterParts(), () => 0);
});

const deployment = (timeoutMs = 20_000): Fleet =>
  new Fleet({
    restarts: noRestarts(),
    bus: coordinator,
    subjects: s,
    roster,
    epoch,
    generation: 0,
    ask: { patienceMs: 2.5 * timeoutMs, timeoutMs },
    causes: {
      causeOf: (spec, { why }) => ({ summary: `${spec.id}: ${why}` }),
      logTailOf: async ({ id }) => [`${id} says`],
    },
    post: brokenTo((cause) => broken.push(cause)),
    record: { save: () => {} },
  });
const signal = () => new AbortController().signal;
const a = specOf({ id: 'a' });
const b = specOf({ id: 'b', node: 'node2' });

describe('a deployment', () => {
  it('asks every node for its whole desired state, and is ready when the phase is ready', async () => {
    const d = deployment();
    const ready = d.deploy([a, b], 'worker', signal());
    await until('both nodes asked', () => asked.length === 2);
    expect(asked.map(({ generation, processes }) => [generation, processes.map(({ id }) => id)])).toEqual(
      expect.arrayContaining([
        [1, ['a']],
        [1, ['b']],
      ]),
    );
    d.learn([report('a', 'ready', 1)]);
    d.learn([report('b', 'starting', 1)]);
    d.learn([report('b', 'ready', 1)]);
    await ready;
  });

  it('asks the agent that runs a process for the end of its log', async () => {
    const asked: string[] = [];
    const d = new Fleet({
      restarts: noRestarts(),
      ...{ bus: coordinator, subjects: s, roster, epoch, generation: 0 },
      agentOf: () => 'node1/nginx',
      causes: {
        causeOf: (spec, { why }) => ({ summary: `${spec.id}: ${why}` }),
        logTailOf: async (_, agent) => {
          asked.push(agent);
          return [];
        },
      },
      post: brokenTo((cause) => broken.push(cause)),
      record: { save: () => {} },
    });
    void d.deploy([a], 'worker', signal()).catch(() => undefined);
    d.learn([report('a', 'failed', 1)], 'node1/nginx');
    await until('the cause', () => asked.length > 0);
    expect(asked).toEqual(['node1/nginx']);
  });

  it('names the later ports too, and blames the node on which another process has one', async () => {
    const d = deployment();
    const router = specOf({ id: 'router', phase: 'proxy', ports: { http: 8000 } });
    const reason = 'port 8000 of node1, which router needs (http), is taken by pid 1 of user bob: python3';
    answers.node1 = () => ({ v: 1, accepted: false, reason, taken: true });
    await expect(d.deploy([a, b, router], 'worker', signal())).rejects.toMatchObject({
      causeOf: { summary: reason, node: 'node1', advice: expect.stringContaining('end it') },
    });
    const told = asked.find(({ look }) => look);
    expect(told?.later).toEqual([{ id: 'router', ports: { http: 8000 } }]);
  });

  it('starts no process on any node when a port of the point is taken on one node', async () => {
    const d = deployment();
    const own = (spec: typeof a, nccl: number) => ({ ...spec, ports: { nccl } });
    const reason = 'port 17500 of node1, which a needs (nccl), is taken by pid 1 of user bob, job 7: python3';
    answers.node1 = () => ({ v: 1, accepted: false, reason, taken: true });
    await expect(d.deploy([own(a, 17_500), own(b, 17_501)], 'worker', signal())).rejects.toMatchObject({
      causeOf: { summary: reason, node: 'node1', signature: 'port-in-use' },
    });
    await until('both looked', () => asked.length === 2);
    expect(asked.map(({ look, processes }) => [look, processes])).toEqual([
      [true, []],
      [true, []],
    ]);
  });

  it('checks the ports of a point once, and begins when all are free', async () => {
    const d = deployment();
    const workers = [
      { ...a, ports: { http: 6100 } },
      { ...b, ports: { http: 6100 } },
    ];
    const router = specOf({ id: 'router', phase: 'proxy', ports: { http: 8000 } });
    const ready = d.deploy([...workers, router], 'worker', signal());
    await until('all asked', () => asked.length === 4);
    d.learn([report('a', 'ready', 1), report('b', 'ready', 1)]);
    await ready;
    void d.deploy([...workers, router], 'proxy', signal()).catch(() => undefined);
    await until('asked again', () => asked.length === 6);
    expect(asked.filter(({ look }) => look)).toHaveLength(2);
  });

  it('does not ask again for processes that exist, and asks again when one is no longer wanted', async () => {
    const d = deployment();
    const first = d.deploy([a, b], 'worker', signal());
    await until('both nodes asked', () => asked.length === 2);
    d.learn([report('a', 'ready', 1), report('b', 'ready', 1)]);
    await first;
    await d.deploy([structuredClone(a), structuredClone(b)], 'worker', signal());
    expect([asked.length, d.generation]).toEqual([2, 1]);
    await d.deploy([a], 'worker', signal());
    expect([asked.length, d.generation]).toEqual([4, 2]);
    const changed = { ...a, argv: [...a.argv, '--other'] };
    void d.deploy([changed], 'worker', signal()).catch(() => undefined);
    await until('both asked for the change', () => asked.length === 6);
  });

  it('names the agent that does not answer, and the agent that refuses', async () => {
    answers.node2 = () => undefined;
    await expect(deployment(200).deploy([a, b], 'worker', signal())).rejects.toThrow(
      'the agent of node2 did not answer its desired state',
    );
    answers.node2 = () => ({ v: 1, accepted: false, reason: 'it is ending' });
    await expect(deployment().deploy([a, b], 'worker', signal())).rejects.toThrow(
      /node2 refused.*it is ending/,
    );
  });

  it('reports the first failed critical process at once, and no later one', async () => {
    const d = deployment();
    const tolerated = specOf({ id: 'c', critical: false });
    void d.deploy([a, b, tolerated], 'worker', signal()).catch(() => undefined);
    await until('asked', () => asked.length === 2);
    d.learn([report('c', 'failed', 1, { why: 'tolerated' })]);
    d.learn([report('b', 'failed', 1, { why: 'first' })]);
    d.learn([report('b', 'failed', 1, { why: 'first' }), report('a', 'failed', 1, { why: 'second' })]);
    expect(broken).toEqual([{ summary: 'b: first' }]);
    // The log is read later.
    expect(await d.withTail(broken[0] ?? { summary: '' })).toEqual({
      summary: 'b: first',
      logTail: ['b says'],
    });
  });

  it('ignores the end of a predecessor with the same name', async () => {
    const d = deployment();
    const first = d.deploy([a], 'worker', signal());
    await until('asked', () => asked.length === 2);
    d.learn([report('a', 'ready', 1)]);
    await first;
    const changed = { ...a, argv: ['sleep', '7'] };
    const second = d.deploy([changed], 'worker', signal());
    await until('asked again', () => asked.length === 4);
    d.learn([report('a', 'stopped', 1)]);
    d.learn([report('a', 'ready', 2)]);
    await second;
    expect(broken).toEqual([]);
  });

  it('refuses to go on with a process that failed between two points', async () => {
    const d = deployment();
    const first = d.deploy([a], 'worker', signal());
    await until('asked', () => asked.length === 2);
    d.learn([report('a', 'ready', 1)]);
    await first;
    d.learn([report('a', 'failed', 1, { why: 'died in between' })]);
    await expect(d.deploy([a, b], 'worker', signal())).rejects.toThrow('a: died in between');
  });

  it('keeps what a later phase of the next point uses unchanged', async () => {
    const d = deployment();
    const frontend = specOf({ id: 'f', role: 'frontend', phase: 'frontend' });
    const first = d.deploy([a, frontend], 'frontend', signal());
    await until('asked', () => asked.length === 2);
    d.learn([report('a', 'ready', 1), report('f', 'ready', 1)]);
    await first;
    const second = d.deploy([a, b, frontend], 'worker', signal());
    await until('asked again', () => asked.length === 4);
    d.learn([report('b', 'ready', 2)]);
    await second;
    expect(
      asked.filter(({ generation }) => generation === 2).flatMap(({ processes }) => processes),
    ).toHaveLength(3);
  });

  it('asks a kept router only in its own phase whether it is ready with its new workers', async () => {
    const d = deployment();
    const router = specOf({ id: 'f', role: 'frontend', phase: 'frontend', readyAfter: 'old workers' });
    const first = d.deploy([a, router], 'frontend', signal());
    await until('asked', () => asked.length === 2);
    d.learn([report('a', 'ready', 1), report('f', 'ready', 1)]);
    await first;
    const [changed, next] = [
      { ...a, argv: ['sleep', '7'] },
      { ...router, readyAfter: 'new workers' },
    ];
    const workers = d.deploy([changed, next], 'worker', signal());
    await until('asked again', () => asked.length === 4);
    const sent = () => asked.at(-2)?.processes.concat(asked.at(-1)?.processes ?? []);
    expect(sent()).toEqual([changed, router]);
    d.learn([report('a', 'ready', 2), report('f', 'ready', 2)]);
    await workers;
    let isOver = false;
    const last = d.deploy([changed, next], 'frontend', signal()).then(() => {
      isOver = true;
    });
    await until('asked for the third time', () => asked.length === 6);
    expect(sent()).toEqual([changed, next]);
    // Reports from before the request do not count.
    d.learn([report('f', 'ready', 2)]);
    d.learn([report('f', 'starting', 3)]);
    expect(isOver).toBe(false);
    d.learn([report('f', 'ready', 3)]);
    await last;
  });

  it('ends when it is aborted', async () => {
    const abort = new AbortController();
    const d = deployment().deploy([a], 'worker', abort.signal);
    await until('asked', () => asked.length === 2);
    abort.abort(new Error('interrupted'));
    await expect(d).rejects.toThrow('interrupted');
  });

  it('does not wait for a lost process that is not critical, and remembers the reason', async () => {
    const d = deployment();
    const specs = [specOf({ id: 'a', node: 'node1' }), specOf({ id: 'b', node: 'node2', critical: false })];
    const deployed = d.deploy(specs, 'worker', new AbortController().signal);
    await until('both to be asked', () => asked.length === 2);
    d.learn([report('a', 'ready', 1)]);
    d.learn([report('b', 'failed', 1, { exitCode: 1 }), report('b', 'failed', 1, { exitCode: 1 })]);
    await deployed;
    expect(broken).toEqual([]);
    expect(await d.losses()).toEqual([{ summary: 'b: test', logTail: ['b says'] }]);
    d.clear();
    expect(await d.losses()).toHaveLength(1);
    const next = d.deploy([specOf({ id: 'a', node: 'node1' })], 'worker', new AbortController().signal);
    await until('the next point', () => asked.length === 4);
    d.learn([report('a', 'ready', d.generation)]);
    await next;
    expect(await d.losses()).toEqual([]);
  });
});
