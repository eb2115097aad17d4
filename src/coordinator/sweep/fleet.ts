import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { FleetEvent, Post } from '../../machines/addresses.ts';
import { CausedError } from '../../machines/point.ts';
import type { Bus } from '../../messages/bus/bus.ts';
import { BusTimeout } from '../../messages/bus/bus.ts';
import { type Desired, desiredReplySchema, type ProcessReport } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import {
  type DeployPhase,
  deployPhases,
  hasSucceeded,
  type ProcessSpec,
} from '../../messages/spec/process-spec.ts';
import { readyAnew, sameProcess } from '../../messages/spec/same-process.ts';
import { hasEnded, type ProcessState } from '../../messages/spec/states.ts';
import { describe } from '../../why/describe.ts';
import type { Roster } from '../agents/roster.ts';
import type { ProcessCauses } from './cause.ts';

/**
 * How long an agent is asked in all, ms, and how long each time, before its desired state counts as unanswered. The
 * roster notices a lost agent long before; this limit is for unforeseen cases.
 */
const ASK = { patienceMs: 30_000, timeoutMs: 3_000 } as const;

/** The same texts as in src/why/signatures.yaml. They appear in no log, because no process was started. */
const PORT_TAKEN = { signature: 'port-in-use', says: 'a port is in use' } as const;
const PORT_ADVICE =
  'end it, or keep the job off the node (sbatch_directives: exclude); two jobs that share a node cannot use the same ports';

/** A wanted process, and its last report. */
interface Known {
  readonly spec: ProcessSpec;
  /** Generation in which this spec was first wanted. An older report is about an earlier process of the same name. */
  readonly since: number;
  report: ProcessReport | undefined;
}

export interface FleetOptions {
  readonly bus: Pick<Bus, 'request'>;
  readonly subjects: Subjects;
  readonly roster: Pick<Roster, 'nodes'>;
  readonly epoch: number;
  /** Name of the agent that runs a process; by default that of its node. */
  readonly agentOf?: (spec: ProcessSpec) => string;
  /** First generation to use. */
  readonly generation: number;
  /** Keeps the generation in state.json. */
  readonly record: { save(change: { readonly generation: number }): void };
  readonly causes: Pick<ProcessCauses, 'causeOf' | 'logTailOf'>;
  /** Delivers the first failure to the point. */
  readonly post: Pick<Post, 'tell'>;
  readonly ask?: { readonly patienceMs: number; readonly timeoutMs: number };
}

/** The fleet: the processes that are wanted, their desired states at the agents, and their reports. */
export class Fleet {
  readonly #options: FleetOptions;
  #generation: number;
  #wanted = new Map<string, Known>();
  /** Specs that were found to be equal. Kept, because comparing hundreds of command lines takes long. */
  readonly #equal = new WeakMap<ProcessSpec, ProcessSpec>();
  /** Specs by agent. Indexed, because scanning all specs for each of 1,000 agents is quadratic. */
  #ofAgent = new Map<string, ProcessSpec[]>();
  /** Specs of later phases of the point, by agent. */
  #laterOf = new Map<string, ProcessSpec[]>();
  /** Processes with their ports whose nodes have been asked for the ports since the last clear. */
  readonly #looked = new Set<string>();
  #waking = false;
  /** The wanted processes are those of the previous run, and no agent has heard of them from this coordinator. */
  #isUntold = false;
  #listeners: (() => void)[] = [];
  #broken = false;
  /** Processes that agents reported before this coordinator wanted any. */
  readonly #reported = new Set<string>();
  /** Processes that were lost and are not critical. */
  #losses = new Map<Known, Cause>();
  readonly #tails = new WeakMap<Cause, Promise<string[]>>();

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#generation = options.generation;
  }

  get generation(): number {
    return this.#generation;
  }

  /** true after the first decision of this coordinator on what runs, even if the decision was that nothing runs. */
  get isDecided(): boolean {
    return this.#generation > this.#options.generation;
  }

  /**
   * These processes run already, because the previous coordinator wanted them. A deployment of the same specs leaves them
   * alone, in any phase. Agents report their states in the answers to it.
   */
  adopt(running: readonly ProcessSpec[]): void {
    const since = this.#generation + 1;
    this.#wanted = new Map(running.map((spec) => [spec.id, { spec, since, report: undefined }]));
    this.#isUntold = true;
  }

  hear(event: FleetEvent): void {
    const reports = event.type === 'agent.reports' ? event.reports : [event.report];
    if (event.type === 'agent.reports' && !this.isDecided)
      for (const { id } of reports) this.#reported.add(id);
    this.learn(reports, event.node);
  }

  /** true for a process that an agent reported before this coordinator wanted any. */
  wasReported({ id }: Pick<ProcessSpec, 'id'>): boolean {
    return this.#reported.has(id);
  }

  /** The desired state of one node as it is now; the answer to a hello. */
  desiredOf(node: string): Desired {
    const processes = this.#ofAgent.get(node) ?? [];
    return { v: WIRE_VERSION, epoch: this.#options.epoch, generation: this.#generation, processes };
  }

  /**
   * Wants all processes up to `phase`, and those of later phases that run already (a point that reuses them must not stop
   * them meanwhile; how they are monitored changes in their own phase). Resolves when the processes of `phase` are ready.
   */
  async deploy(processes: readonly ProcessSpec[], phase: DeployPhase, signal: AbortSignal): Promise<void> {
    const upTo = deployPhases.indexOf(phase);
    const wanted = processes.flatMap((spec) => {
      const known = this.#wanted.get(spec.id)?.spec;
      if (known && deployPhases.indexOf(awaitedIn(spec)) > upTo && sameProcess(known, spec)) return [known];
      return deployPhases.indexOf(spec.phase) <= upTo ? [spec] : [];
    });
    if (!this.#stands(wanted, processes)) {
      const started = new Set(wanted.map(({ id }) => id));
      const later = processes.filter(({ id }) => !started.has(id));
      await this.#want(wanted, later, signal);
    }
    this.#refuseFailed();
    await this.#untilReady(
      wanted.filter((spec) => awaitedIn(spec) === phase),
      signal,
    );
  }

  /**
   * true when agents know all of `wanted`, and no other process that they know still runs. Agents are then not asked again,
   * so a point that restarts nothing starts at once.
   */
  #stands(wanted: readonly ProcessSpec[], all: readonly ProcessSpec[]): boolean {
    if (this.#isUntold || !wanted.every((spec) => this.isWanted(spec))) return false;
    const stays = new Set(all.filter((spec) => this.isWanted(spec)).map(({ id }) => id));
    return [...this.#wanted.values()].every(
      ({ spec, report }) => stays.has(spec.id) || (report !== undefined && hasEnded(report.state)),
    );
  }

  /** true when exactly this spec is wanted, so that its process may run. */
  isWanted(spec: ProcessSpec): boolean {
    const known = this.#wanted.get(spec.id)?.spec;
    if (known === undefined || known === spec || this.#equal.get(spec) === known) return known !== undefined;
    const same = isDeepStrictEqual(known, spec);
    if (same) this.#equal.set(spec, known);
    return same;
  }

  /** All processes that are wanted. */
  get wanted(): ProcessSpec[] {
    return [...this.#wanted.values()].map(({ spec }) => spec);
  }

  /** No process is wanted any more. Returns the generation of the empty set, which the caller broadcasts. */
  clear(): number {
    this.#wanted = new Map();
    this.#ofAgent = new Map();
    this.#laterOf = new Map();
    this.#looked.clear();
    this.#broken = false;
    this.#generation++;
    this.#options.record.save({ generation: this.#generation });
    return this.#generation;
  }

  /**
   * Reports of agent `from`, from an event, a heartbeat or an answer. Reports about other agents' processes are ignored.
   * The point hears of the first failure of a critical process, once.
   */
  learn(reports: readonly ProcessReport[], from?: string): void {
    for (const report of reports) {
      const known = this.#wanted.get(report.id);
      if (!known || report.generation < known.since) continue;
      if (from !== undefined && this.agentOf(known.spec) !== from) continue;
      // Events and heartbeats overtake each other, so an ended process stays ended.
      if (known.report && hasEnded(known.report.state) && !hasEnded(report.state)) continue;
      known.report = report;
      if (hasFailed(known.spec, report) && !known.spec.critical && !this.#losses.has(known))
        this.#losses.set(known, this.#causeOf(known.spec, report));
      if (hasFailed(known.spec, report) && known.spec.critical && !this.#broken) {
        this.#broken = true;
        const cause = this.#causeOf(known.spec, report);
        this.#options.post.tell('point', { type: 'point.broken', cause });
      }
    }
    this.#wake();
  }

  /** Wakes once for all reports of a moment, because each waiter looks at every wanted process. */
  #wake(): void {
    if (this.#waking || this.#listeners.length === 0) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      for (const listener of this.#listeners.splice(0)) listener();
    });
  }

  /** Why each lost process that is not critical is gone; of the last deployment, also after its end. */
  losses(): Promise<Cause[]> {
    return Promise.all([...this.#losses.values()].map((cause) => this.withTail(cause)));
  }

  /** A cause with the end of the process's log, which was not waited for when the process failed. */
  async withTail(cause: Cause): Promise<Cause> {
    const logTail = await this.#tails.get(cause);
    return logTail ? { ...cause, logTail } : cause;
  }

  /** A sentence for each degraded process, because it may be the reason of a failure elsewhere. */
  sick(): string[] {
    return [...this.#wanted.values()]
      .filter(({ spec, report }) => report?.state === 'degraded' && spec.role !== 'benchmark')
      .map(({ spec, report }) => `${describe(spec.id, spec.role, spec.node)} is degraded: ${report?.why}`);
  }

  #causeOf(spec: ProcessSpec, report: ProcessReport): Cause {
    const { causes } = this.#options;
    const seen = causes.causeOf(spec, report);
    const sick = spec.role === 'benchmark' ? this.sick() : [];
    const cause = sick.length === 0 ? seen : { ...seen, summary: [seen.summary, ...sick].join('; ') };
    this.#tails.set(cause, causes.logTailOf(spec, this.agentOf(spec)));
    return cause;
  }

  /** Resolves when a process has ended with exit code 0. Never resolves when the process fails. */
  async completed(id: string, signal: AbortSignal): Promise<void> {
    const isDone = (): boolean => {
      const report = this.#wanted.get(id)?.report;
      return report?.state === 'stopped' && report.exitCode === 0;
    };
    while (!isDone()) await this.#news(signal);
  }

  /** Name of the agent that runs a process. */
  agentOf(spec: ProcessSpec): string {
    return this.#options.agentOf?.(spec) ?? spec.node;
  }

  async #want(
    specs: readonly ProcessSpec[],
    later: readonly ProcessSpec[],
    signal: AbortSignal,
  ): Promise<void> {
    const look = this.#look([...specs, ...later], signal);
    if (look) await look;
    const generation = ++this.#generation;
    this.#isUntold = false;
    const before = this.#wanted;
    this.#wanted = new Map(
      specs.map((spec) => {
        const known = before.get(spec.id);
        if (known === undefined) return [spec.id, firstAsked(spec, generation)];
        return [spec.id, this.isWanted(spec) ? known : next(known, spec, generation)];
      }),
    );
    for (const known of this.#losses.keys())
      if (this.#wanted.get(known.spec.id) !== known) this.#losses.delete(known);
    this.#ofAgent = this.#byAgent(specs);
    this.#laterOf = this.#byAgent(later);
    this.#options.record.save({ generation });
    await Promise.all(
      this.#options.roster.nodes.map((node) => {
        const later = (this.#laterOf.get(node) ?? []).map(({ id, ports }) => ({ id, ports }));
        return this.#ask(node, signal, later.length > 0 ? { later } : {});
      }),
    );
  }

  /**
   * Asks all nodes whether the ports of a point are free, before any process is started on any node. Otherwise engines on a
   * node with free ports would connect to another job's engines on a node with taken ports, and both jobs would fail.
   * Returns undefined when no node has to be asked.
   */
  #look(specs: readonly ProcessSpec[], signal: AbortSignal): Promise<unknown> | undefined {
    const keyOf = ({ id, ports }: ProcessSpec) => `${id} ${JSON.stringify(ports)}`;
    const isNew = (spec: ProcessSpec) => !this.#wanted.has(spec.id) && !this.#looked.has(keyOf(spec));
    const fresh = specs.filter((spec) => Object.keys(spec.ports).length > 0 && isNew(spec));
    for (const spec of fresh) this.#looked.add(keyOf(spec));
    // A single agent looks at the ports when it starts the processes.
    if (fresh.length === 0 || this.#byAgent(specs).size < 2) return undefined;
    return Promise.all(
      [...this.#byAgent(fresh)].map(([agent, own]) => {
        const later = own.map(({ id, ports }) => ({ id, ports }));
        return this.#ask(agent, signal, { processes: [], later, look: true });
      }),
    );
  }

  #byAgent(specs: readonly ProcessSpec[]): Map<string, ProcessSpec[]> {
    const found = new Map<string, ProcessSpec[]>();
    for (const spec of specs) {
      const agent = this.agentOf(spec);
      const list = found.get(agent);
      if (list) list.push(spec);
      else found.set(agent, [spec]);
    }
    return found;
  }

  /** A process kept from the previous point may have failed between the points, when no point could hear of it. */
  #refuseFailed(): void {
    for (const { spec, report } of this.#wanted.values())
      if (report && spec.critical && hasFailed(spec, report)) {
        this.#broken = true;
        throw new CausedError(this.#causeOf(spec, report));
      }
  }

  async #ask(node: string, signal: AbortSignal, more: Partial<Desired>): Promise<void> {
    const { bus, subjects } = this.#options;
    const subject = subjects.desired(node);
    const ask = this.#options.ask ?? ASK;
    let problem = '';
    const until = performance.now() + ask.patienceMs;
    while (problem === '' || performance.now() < until) {
      signal.throwIfAborted();
      try {
        const desired = { ...this.desiredOf(node), ...more };
        const reply = await bus.request(subject, desired, desiredReplySchema, ask.timeoutMs);
        if (reply.accepted) {
          this.learn(reply.processes, node);
          return;
        }
        if (reply.taken)
          throw new CausedError({ summary: reply.reason, node, ...PORT_TAKEN, advice: PORT_ADVICE });
        problem = `refused its desired state: ${reply.reason}`;
        break;
      } catch (error) {
        if (error instanceof CausedError) throw error;
        problem = error instanceof BusTimeout ? 'did not answer its desired state' : String(error);
        await sleep(200);
      }
    }
    signal.throwIfAborted();
    throw new CausedError({ summary: `the agent of ${node} ${problem}`, node });
  }

  async #untilReady(specs: readonly ProcessSpec[], signal: AbortSignal): Promise<void> {
    const isReady = (spec: ProcessSpec): boolean => {
      const report = this.#wanted.get(spec.id)?.report;
      // A process that is not critical is not waited for after it has failed.
      if (report && !spec.critical && hasFailed(spec, report)) return true;
      const state: ProcessState | undefined = report?.state;
      if (spec.role === 'step') return state === 'stopped';
      return state === 'ready' || state === 'degraded' || (spec.terminates && state === 'stopped');
    };
    while (!specs.every(isReady)) await this.#news(signal);
  }

  async #news(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      // The signal lives as long as a benchmark, and reports come each second, so each listener must be removed.
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done);
      this.#listeners.push(done);
    });
    signal.throwIfAborted();
  }
}

/**
 * The phase in which a process must become ready. A router is started with its workers and becomes ready after them, so it
 * is waited for in its own phase.
 */
export const awaitedIn = (spec: ProcessSpec): DeployPhase =>
  spec.role === 'frontend' ? 'frontend' : spec.phase;

const firstAsked = (spec: ProcessSpec, since: number): Known => ({ spec, since, report: undefined });

/** Gives the process a new spec. Its report is dropped when the process has to become ready once more. */
function next(known: Known, spec: ProcessSpec, generation: number): Known {
  if (known.spec === spec) return known;
  if (!sameProcess(known.spec, spec)) return firstAsked(spec, generation);
  const isStale = readyAnew(known.spec, spec) && !(known.report && hasEnded(known.report.state));
  return isStale ? firstAsked(spec, generation) : { ...known, spec };
}

/** A wanted process has ended. Only a process that is expected to end may do so, with exit code 0. */
const hasFailed = (spec: ProcessSpec, report: ProcessReport): boolean =>
  report.state === 'failed' || (report.state === 'stopped' && !hasSucceeded(spec, report.exitCode));
