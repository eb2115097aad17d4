import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

vi.mock('node:timers/promises', () => import('../support/faked-sleep.ts'));

import { DEFAULT_SUPERVISION, Roster } from '../../src/coordinator/agents/roster.ts';
import { Fleet } from '../../src/coordinator/fleet/fleet.ts';
import type { EventOutbox } from '../../src/messages/bus/bus.ts';
import { heartbeatSchema, helloSchema } from '../../src/messages/events/control.ts';
import type { EventBody } from '../../src/messages/events/events.ts';
import { subjectsOf } from '../../src/messages/events/subjects.ts';
import type { ProcessSpec } from '../../src/messages/spec/process-spec.ts';
import { sameProcess } from '../../src/messages/spec/same-process.ts';
import { hasEnded } from '../../src/messages/spec/states.ts';
import { NodeAgent } from '../../src/node-agent/agent.ts';
import { ProcessTable } from '../../src/node-agent/processes/process-table.ts';
import { noRestarts, postTo, rosterParts } from '../support/roster-parts.ts';
import { type Fate, SimulatedBus } from '../support/simulated-bus.ts';
import { SimulatedNode } from '../support/simulated-node.ts';
import { aStep, type Step, someFates } from './steps.ts';

/** The machine of the current run: code that scans /proc scans this machine instead. */
const here = vi.hoisted(() => ({ marked: (_: string): number[] => [] }));
vi.mock('../../src/node-agent/leftovers/marks.ts', () => ({
  findProcesses: async ({ entry }: { entry: string }) => here.marked(entry),
  findProcessesSync: () => [],
  isMarked: () => false,
}));
vi.mock('../../src/node-agent/start/prepare.ts', () => ({
  prepareFiles: async () => ({ fd: -1, size: 0, close: () => undefined }),
}));

const NODES = ['node1', 'node2'] as const;
const s = subjectsOf('property');
/** More runs search longer for rare failures. */
const RUNS = Number(process.env.RUNS ?? 200);
const LEASE_MS = 1_000_000;

/** A coordinator's deployment and two agents are real; the bus and the nodes are simulated. */
class World {
  readonly nodes = new Map(NODES.map((node) => [node as string, new SimulatedNode()]));
  readonly bus: SimulatedBus;
  readonly defects: string[] = [];
  /** The epochs and generations that each agent reported to obey, in order. */
  readonly obeyed = new Map<string, [number, number][]>(NODES.map((node) => [node, []]));
  readonly tables = new Map<string, ProcessTable>();
  readonly ended: string[] = [];
  epoch = 0;
  generation = 0;
  deployment!: Fleet;
  roster!: Roster;
  readonly #wanted: (readonly ProcessSpec[])[] = [];
  #healed = false;
  #abort = new AbortController();
  #lease: NodeJS.Timeout | undefined;
  /** A replaced coordinator that continues as if it were in charge. */
  #old: { readonly deployment: Fleet; readonly epoch: number; readonly lease: NodeJS.Timeout } | undefined;

  constructor(fates: readonly Fate[]) {
    let at = 0;
    this.bus = new SimulatedBus(() => (this.#healed ? 'arrives' : (fates[at++ % fates.length] ?? 'arrives')));
    here.marked = (entry) => [...this.nodes.values()].flatMap((node) => node.marked(entry));
    this.restartCoordinator();
    for (const node of NODES) this.#startAgent(node);
  }

  /** A new incarnation knows only the epoch and the generation of the last one. */
  restartCoordinator(): void {
    this.#abort.abort(new Error('restarted'));
    this.#abort = new AbortController();
    this.bus.forget(this.#name);
    clearInterval(this.#lease);
    this.#takeOver();
  }

  /** The same while the last one lives, so that only the agents tell the two apart. */
  usurp(): void {
    this.endOld();
    // As in coordinator/takeover/previous-run.ts. Reports contain no epoch, so the generations of two coordinators
    // never overlap.
    this.generation += 1_000;
    if (this.#lease) this.#old = { deployment: this.deployment, epoch: this.epoch, lease: this.#lease };
    this.#takeOver();
  }

  /** The coordinator has noticed that it was replaced. Its earlier messages may still arrive. */
  endOld(): void {
    if (!this.#old) return;
    clearInterval(this.#old.lease);
    this.bus.forget(`coordinator${this.#old.epoch}`);
    this.#old = undefined;
  }

  get #name(): string {
    return `coordinator${this.epoch}`;
  }

  #takeOver(): void {
    this.epoch++;
    const { epoch } = this;
    const bus = this.bus.as(this.#name);
    const roster = new Roster(
      NODES,
      DEFAULT_SUPERVISION,
      rosterParts({
        onReports: (_, reports) => deployment.learn(reports),
        onDefect: (what) => this.defects.push(what),
      }),
      () => Date.now(),
    );
    this.roster = roster;
    let last = this.generation;
    const deployment = new Fleet({
      restarts: noRestarts(),
      bus,
      subjects: s,
      roster,
      epoch,
      generation: this.generation,
      causes: { causeOf: ({ id }) => ({ summary: id }), logTailOf: async () => [] },
      post: postTo({}),
      record: {
        save: ({ generation }) => {
          this.#grown(generation > last, `the deployment went from ${last} to ${generation}`);
          last = generation;
          // No one reads the state of a replaced coordinator.
          if (this.epoch === epoch) this.generation = generation;
        },
      },
    });
    this.deployment = deployment;
    bus.subscribe(s.hello('*'), helloSchema, ({ message, respond }) => {
      roster.hello(message);
      const desired = deployment.desiredOf(message.node);
      const generation = desired.generation + this.#aheadOf(epoch);
      respond({ v: 1, welcome: true, leaseMs: LEASE_MS, desired: { ...desired, generation } });
    });
    bus.subscribe(s.heartbeat('*'), heartbeatSchema, ({ message }) => roster.heartbeat(message));
    this.#lease = setInterval(() => {
      const ahead = this.#aheadOf(epoch);
      const generation = deployment.generation + ahead;
      bus.publish(s.allLease, { v: 1, epoch, generation, lost: ahead > 0 ? NODES : [] });
    }, 1_000);
  }

  /**
   * When every agent has heard of another coordinator, the replaced one may send any generation: agents refuse its
   * epoch.
   */
  #aheadOf(epoch: number): number {
    return NODES.every((node) => (this.obeyed.get(node)?.at(-1)?.[0] ?? 0) > epoch) ? 5_000 : 0;
  }

  want(specs: readonly ProcessSpec[]): void {
    this.#wanted.push(specs);
    this.#abort.abort(new Error('the next one is wanted'));
    this.#abort = new AbortController();
    this.deployment.deploy(specs, 'worker', this.#abort.signal).catch(() => undefined);
  }

  clear(): void {
    this.#abort.abort(new Error('nothing is wanted'));
    const generation = this.deployment.clear();
    const message = { v: 1, epoch: this.epoch, generation, end: false, afterMs: 50 };
    this.bus.as(this.#name).publish(s.allDesired, message);
  }

  /** The replaced coordinator wants a set, or none. */
  #late(specs: readonly ProcessSpec[], clears: boolean): void {
    if (!this.#old) return;
    const { deployment, epoch } = this.#old;
    if (!clears)
      return void deployment.deploy(specs, 'worker', new AbortController().signal).catch(() => undefined);
    const ahead = this.#aheadOf(epoch);
    const generation = deployment.clear() + ahead;
    // It considers its job over; an agent that knows another coordinator must not end.
    const message = { v: 1, epoch, generation, end: ahead > 0 };
    this.bus.as(`coordinator${epoch}`).publish(s.allDesired, message);
  }

  async do(step: Step): Promise<void> {
    const node = NODES['node' in step ? step.node : 0] ?? NODES[0];
    if (step.kind === 'want') this.want(step.set);
    // One of the last few sets, in which some processes may still run and others may be stopping.
    else if (step.kind === 'again') this.want(this.#wanted.at(-1 - step.pick) ?? []);
    else if (step.kind === 'clear') this.clear();
    else if (step.kind === 'crash') this.nodes.get(node)?.crash(step.pick);
    else if (step.kind === 'cut') this.bus.cut(node, step.off);
    else if (step.kind === 'reconnect') {
      // A returning agent says hello.
      this.bus.cut(node, true);
      this.bus.cut(node, false);
      await vi.advanceTimersByTimeAsync(10);
    } else if (step.kind === 'replay') this.bus.replay(step.pick);
    else if (step.kind === 'restart') this.restartCoordinator();
    else if (step.kind === 'usurp') this.usurp();
    else if (step.kind === 'late') this.#late(step.set, step.clears);
    // The same processes, with other monitoring.
    else if (step.kind === 'rewatch')
      this.want(
        (this.#wanted.at(-1) ?? []).map((spec) => ({ ...spec, readyAfter: step.after, graceMs: 100 })),
      );
    else await vi.advanceTimersByTimeAsync(step.ms);
  }

  /** Messages flow again, and all parts have time to react. */
  async heal(): Promise<void> {
    this.#healed = true;
    this.endOld();
    for (const node of NODES) this.bus.cut(node, false);
    await vi.advanceTimersByTimeAsync(20_000);
  }

  /**
   * After a request for the same set, and for the same set with a new dependency, all processes become ready without a
   * start.
   */
  async goesOn(): Promise<void> {
    const wanted = NODES.flatMap((node) => this.deployment.desiredOf(node).processes);
    const machines = [...this.nodes.values()];
    // A process that ended while it was wanted is never ready.
    if (wanted.length > machines.flatMap(({ running }) => running).length) return;
    const starts = () => machines.flatMap(({ processes }) => processes).length;
    const before = starts();
    for (const specs of [wanted, wanted.map((spec) => ({ ...spec, readyAfter: 'something new' }))]) {
      let isReady = false;
      this.deployment.deploy(specs, 'worker', this.#abort.signal).then(
        () => {
          isReady = true;
        },
        () => undefined,
      );
      await vi.advanceTimersByTimeAsync(5_000);
      expect(isReady).toBe(true);
    }
    expect(starts()).toBe(before);
  }

  #startAgent(node: string): void {
    const machine = this.nodes.get(node) ?? new SimulatedNode();
    const bus = this.bus.as(node);
    const table = new ProcessTable({
      spawner: machine.spawner,
      guard: machine.guard,
      agentMark: node,
      agentId: node,
      jobNode: `property/${node}`,
      environment: {},
      onTransition: (transition) => agent.publish(transition),
      onEmpty: () => agent.onEmpty(),
      onDefect: (what) => this.defects.push(`${node}: ${what}`),
    });
    this.tables.set(node, table);
    const agent = new NodeAgent({
      config: { v: 1, jobId: 'property', node, address: node, url: '', seed: '', logDir: '' } as never,
      incarnation: node,
      address: node,
      gpuHolders: [],
      bus: {
        ...bus,
        publish: (subject, message) => {
          if (subject === s.heartbeat(node)) this.#obeys(node, heartbeatSchema.parse(message));
          bus.publish(subject, message);
        },
      },
      outbox: this.#outbox(node),
      subjects: s,
      table,
      log: pino({ level: 'silent' }),
      now: () => Date.now(),
      clock: { now: () => Date.now(), source: `agent:${node}:x` },
      onEnd: (why) => this.ended.push(`${node}: ${why}`),
    });
    agent.start();
  }

  #obeys(node: string, { epoch, generation }: { epoch: number; generation: number }): void {
    const last = this.obeyed.get(node)?.at(-1) ?? [0, 0];
    const grown = epoch > last[0] || (epoch === last[0] && generation >= last[1]);
    this.#grown(grown, `${node} went from ${last} to ${epoch},${generation}`);
    this.obeyed.get(node)?.push([epoch, generation]);
  }

  #grown(isSo: boolean, what: string): void {
    if (!isSo) this.defects.push(`a generation did not grow: ${what}`);
  }

  /** Kept events reach the coordinator in order, and late at worst. */
  #outbox(node: string): EventOutbox {
    return {
      send: (body: EventBody) => {
        const { deployment } = this;
        setTimeout(
          () => {
            if (body.kind !== 'process.transition' || this.deployment !== deployment) return;
            const { process: id, to, pid, generation, why, exitCode, signal } = body;
            deployment.learn([{ id, state: to, pid, generation, why, exitCode, signal }]);
          },
          node === 'node1' ? 5 : 900,
        );
      },
      flush: async () => true,
      unsent: () => [],
    };
  }
}

describe('desired state', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it(
    'runs once messages flow again, with each process at most once, and generations only grow',
    async () => {
      await fc.assert(
        fc.asyncProperty(someFates, fc.array(aStep, { maxLength: 25 }), async (fates, steps) => {
          vi.clearAllTimers();
          const world = new World(fates);
          await vi.advanceTimersByTimeAsync(100);
          for (const step of steps) await world.do(step);
          await world.heal();
          expect(world.defects).toEqual([]);
          expect(world.ended).toEqual([]);
          for (const [name, node] of world.nodes) {
            expect(node.collisions).toEqual([]);
            const { processes } = world.deployment.desiredOf(name);
            const reports = world.tables.get(name)?.reports() ?? [];
            expect(reports.map(({ id }) => id).sort()).toEqual(processes.map(({ id }) => id).sort());
            expect(node.processes.filter(({ orphan }) => orphan)).toEqual([]);
            for (const spec of processes) {
              const last = node.processes.filter((process) => process.spec.id === spec.id).at(-1);
              expect(last && sameProcess(last.spec, spec)).toBe(true);
              // A wanted process that ended is not started again, because the coordinator decides about that.
              expect(last?.exists).toBe(!last?.crashed);
              const state = reports.find(({ id }) => id === spec.id)?.state ?? 'waiting';
              expect(hasEnded(state)).toBe(last?.crashed);
            }
            expect(node.running.map(({ spec }) => spec.id).sort()).toEqual(
              reports
                .filter(({ state }) => !hasEnded(state))
                .map(({ id }) => id)
                .sort(),
            );
            expect(world.obeyed.get(name)?.at(-1)).toEqual([world.epoch, world.deployment.generation]);
          }
          await world.goesOn();
        }),
        {
          numRuns: RUNS,
          ...(process.env.FC_SEED
            ? { seed: Number(process.env.FC_SEED), path: process.env.FC_PATH ?? '', endOnFailure: true }
            : {}),
        },
      );
    },
    60_000 + RUNS * 50,
  );
});
