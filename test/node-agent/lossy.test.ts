import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { Roster } from '../../src/coordinator/agents/roster.ts';
import { Fleet } from '../../src/coordinator/fleet/fleet.ts';
import { createOutbox } from '../../src/messages/bus/outbox.ts';
import { type Heartbeat, heartbeatSchema, helloSchema } from '../../src/messages/events/control.ts';
import { subjectsOf } from '../../src/messages/events/subjects.ts';
import type { ProcessSpec } from '../../src/messages/spec/process-spec.ts';
import { NodeAgent } from '../../src/node-agent/agent.ts';
import { ProcessTable } from '../../src/node-agent/processes/process-table.ts';
import type { SpawnListener } from '../../src/node-agent/start/spawn.ts';
import { randomOf } from '../security/hostile.ts';
import { until } from '../support/bus.ts';
import { LossyNetwork, lossyBus } from '../support/lossy-bus.ts';
import { brokenTo, noRestarts } from '../support/roster-parts.ts';
import { specOf } from '../support/spec.ts';

const JOB = 'lossy';
const s = subjectsOf(JOB);
const nodes = ['node1', 'node2', 'node3'];

/** An agent whose processes are entries of a map. */
function startAgent(node: string, network: LossyNetwork) {
  const bus = lossyBus(network);
  const running = new Map<number, { id: string; listener: SpawnListener }>();
  let pids = 0;
  const signalGroup = (pid: number): boolean => {
    const found = running.get(pid);
    running.delete(pid);
    if (found) setImmediate(() => found.listener.exited(null, 'SIGTERM'));
    return found !== undefined;
  };
  const table = new ProcessTable({
    spawner: {
      spawn(spec: ProcessSpec, _: unknown, listener: SpawnListener) {
        running.set(++pids, { id: spec.id, listener });
        return { pid: pids };
      },
      signalGroup,
      signal: () => false,
    },
    guard: { began: () => undefined, over: () => undefined, dismiss: () => Promise.resolve() },
    ...{ agentMark: `${JOB}/${node}/test`, jobNode: `${JOB}/${node}`, environment: {}, agentId: node },
    onTransition: (transition) => agent.publish(transition),
    onEmpty: () => agent.onEmpty(),
    onDefect: (what, error) => expect.unreachable(`${what}: ${error}`),
  });
  let ended = false;
  const agent = new NodeAgent({
    config: { v: 1, jobId: JOB, node, address: null, url: '', seed: '', logDir: '/tmp' },
    ...{ incarnation: node, address: '127.0.0.1', gpuHolders: [], bus, subjects: s, table },
    outbox: createOutbox({ bus, job: JOB, source: `agent:${node}:x`, now: () => new Date(0), retryMs: 2 }),
    log: pino({ level: 'silent' }),
    now: () => performance.now(),
    clock: { now: () => 0, source: `agent:${node}:x` },
    onEnd: () => {
      ended = true;
    },
  });
  agent.start();
  return { running: () => [...running.values()].map(({ id }) => id).sort(), ended: () => ended };
}

it.each([1, 2])(
  'with messages lost, repeated and out of order, agents finally run the wanted processes, each once (seed %i)',
  async (seed) => {
    const network = new LossyNetwork(randomOf(seed));
    const bus = lossyBus(network);
    const beats = new Map<string, Heartbeat>();
    const agents = nodes.map((node) => startAgent(node, network));
    const deployment = new Fleet({
      restarts: noRestarts(),
      ...{ bus, subjects: s, epoch: 1, generation: 1 },
      roster: { nodes } as unknown as Roster,
      causes: { causeOf: (spec) => ({ summary: spec.id }), logTailOf: async () => [] },
      post: brokenTo((cause) => expect.unreachable(cause.summary)),
      record: { save: () => undefined },
      ask: { patienceMs: 30_000, timeoutMs: 15 },
    });
    bus.subscribe(s.hello('*'), helloSchema, ({ message, respond }) =>
      respond({ v: 1, welcome: true, leaseMs: 60_000, desired: deployment.desiredOf(message.node) }),
    );
    bus.subscribe(s.heartbeat('*'), heartbeatSchema, ({ message }) => {
      beats.set(message.node, message);
      deployment.learn(message.processes, message.node);
    });
    const random = randomOf(seed + 100);
    const wanted = () =>
      nodes.flatMap((node) =>
        ['a', 'b', 'c']
          .filter(() => random() < 0.6)
          .map((name) => specOf({ id: `${node}-${name}`, node, argv: [random() < 0.5 ? 'one' : 'other'] })),
      );
    for (let round = 0; round < 3; round++) {
      const specs = wanted();
      await deployment.deploy(specs, 'worker', AbortSignal.timeout(20_000));
      for (const [index, node] of nodes.entries()) {
        const ids = specs.filter((spec) => spec.node === node).map(({ id }) => id);
        await until(`${node} runs ${ids}`, () => `${agents[index]?.running()}` === `${ids.sort()}`);
      }
    }
    const generation = deployment.clear();
    const isGone = (node: string) =>
      beats.get(node)?.alive === 0 && beats.get(node)?.generation === generation;
    await until('nothing to be left', () => {
      bus.publish(s.allDesired, { v: 1, epoch: 1, generation, end: false });
      return nodes.every(isGone);
    });
    expect(agents.flatMap((agent) => agent.running())).toEqual([]);
    await until('the agents to end', () => {
      bus.publish(s.allDesired, { v: 1, epoch: 1, generation, end: true });
      return agents.every((agent) => agent.ended());
    });
    for (const node of nodes) {
      const seqs = network.kept.filter(({ source }) => source === `agent:${node}:x`).map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    }
  },
  40_000,
);
