import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { CausedError } from '../../machines/point.ts';
import type { Bus } from '../../messages/bus/bus.ts';
import { BusTimeout } from '../../messages/bus/bus.ts';
import { type Desired, desiredReplySchema, type ProcessReport } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import { type DeployPhase, deployPhases, type ProcessSpec } from '../../messages/spec/process-spec.ts';
import { readyAnew, sameProcess } from '../../messages/spec/same-process.ts';
import { hasEnded, type ProcessState } from '../../messages/spec/states.ts';
import { describe } from '../../why/describe.ts';
import type { Roster } from '../agents/roster.ts';

/**
 * How long one agent is asked, ms, and how long each time, before its desired state counts as unanswered. One that is
 * gone is noticed by the roster, long before; this is for what nobody thought of.
 */
const ASK = { patienceMs: 30_000, timeoutMs: 3_000 } as const;

/** As src/why/signatures.yaml has it: no line of a log is looked for where a port was taken before any start. */
const PORT_TAKEN = { signature: 'port-in-use', says: 'a port is in use' } as const;
const PORT_ADVICE =
  'end it, or keep the job off the node (sbatch_directives: exclude); two jobs that share a node cannot use the same ports';

/** What is known of a process that is wanted. */
interface Known {
  readonly spec: ProcessSpec;
  /** Generation in which this spec was first asked for: what is older speaks of a predecessor of the same name. */
  readonly since: number;
  report: ProcessReport | undefined;
}

export interface DeploymentOptions {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly roster: Roster;
  readonly epoch: number;
  /** Name of the agent that runs a process; by default that of its node. */
  readonly agentOf?: (spec: ProcessSpec) => string;
  /** First generation to use. */
  readonly generation: number;
  /** Says why a process failed, from what is known of it. */
  readonly causeOf: (spec: ProcessSpec, report: ProcessReport) => Cause;
  /** The last lines that it wrote. */
  readonly logTailOf: (spec: ProcessSpec, agent: string) => Promise<string[]>;
  readonly onBroken: (cause: Cause) => void;
  readonly onGeneration: (generation: number) => void;
  readonly ask?: { readonly patienceMs: number; readonly timeoutMs: number };
}

/** What should run where: sends whole desired states, and knows which of what it asked for is ready. */
export class Deployment {
  readonly #options: DeploymentOptions;
  #generation: number;
  #wanted = new Map<string, Known>();
  /** Specs that were found to be equal: comparing hundreds of command lines takes its time. */
  readonly #equal = new WeakMap<ProcessSpec, ProcessSpec>();
  /** What is wanted of each agent: with a thousand of them nobody may look through all for each. */
  #ofAgent = new Map<string, ProcessSpec[]>();
  /** Those of the point that are not wanted yet, in the same way. */
  #laterOf = new Map<string, ProcessSpec[]>();
  /** Processes, with their ports, that no node has refused a port for since all was cleared. */
  readonly #looked = new Set<string>();
  #waking = false;
  /** What is wanted was taken over, and agents have not heard it of this coordinator. */
  #isUntold = false;
  #listeners: (() => void)[] = [];
  #broken = false;
  /** What was lost that the run can do without. */
  #losses = new Map<Known, Cause>();
  readonly #tails = new WeakMap<Cause, Promise<string[]>>();

  constructor(options: DeploymentOptions) {
    this.#options = options;
    this.#generation = options.generation;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Whether anything, or nothing, was ever wanted. */
  get isDecided(): boolean {
    return this.#generation > this.#options.generation;
  }

  /**
   * These already run, as an earlier coordinator wanted them: a deployment of the same specs leaves them alone, in
   * whatever phase it is. What they are is learned from the answers to it.
   */
  adopt(running: readonly ProcessSpec[]): void {
    const since = this.#generation + 1;
    this.#wanted = new Map(running.map((spec) => [spec.id, { spec, since, report: undefined }]));
    this.#isUntold = true;
  }

  /** The desired state of one node as it is now; what a hello is answered with. */
  desiredOf(node: string): Desired {
    const processes = this.#ofAgent.get(node) ?? [];
    return { v: WIRE_VERSION, epoch: this.#options.epoch, generation: this.#generation, processes };
  }

  /**
   * Asks for all processes up to `phase`, and for those of later phases that run already (a point that reuses them must
   * not stop them meanwhile; how they are watched changes when it is their turn), and resolves when those of `phase`
   * are ready.
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
   * true when agents were told of all of `wanted`, and nothing else of what they were told of still runs: then they need
   * not be asked again, and a point that restarts nothing starts at once.
   */
  #stands(wanted: readonly ProcessSpec[], all: readonly ProcessSpec[]): boolean {
    if (this.#isUntold || !wanted.every((spec) => this.isWanted(spec))) return false;
    const stays = new Set(all.filter((spec) => this.isWanted(spec)).map(({ id }) => id));
    return [...this.#wanted.values()].every(
      ({ spec, report }) => stays.has(spec.id) || (report !== undefined && hasEnded(report.state)),
    );
  }

  /** true when exactly this was asked for, so that it may run. */
  isWanted(spec: ProcessSpec): boolean {
    const known = this.#wanted.get(spec.id)?.spec;
    if (known === undefined || known === spec || this.#equal.get(spec) === known) return known !== undefined;
    const same = isDeepStrictEqual(known, spec);
    if (same) this.#equal.set(spec, known);
    return same;
  }

  /** All that is to run. */
  get wanted(): ProcessSpec[] {
    return [...this.#wanted.values()].map(({ spec }) => spec);
  }

  /** Nothing is wanted any more. Returns the generation of the empty set; it is the caller's to broadcast. */
  clear(): number {
    this.#wanted = new Map();
    this.#ofAgent = new Map();
    this.#laterOf = new Map();
    this.#looked.clear();
    this.#broken = false;
    this.#generation++;
    this.#options.onGeneration(this.#generation);
    return this.#generation;
  }

  /**
   * What agent `from` says, by event, heartbeat or answer; only of its own processes. The first failure of a critical
   * process is told, once.
   */
  learn(reports: readonly ProcessReport[], from?: string): void {
    for (const report of reports) {
      const known = this.#wanted.get(report.id);
      if (!known || report.generation < known.since) continue;
      if (from !== undefined && this.agentOf(known.spec) !== from) continue;
      // Events and heartbeats take different ways: what has ended does not come back to life.
      if (known.report && hasEnded(known.report.state) && !hasEnded(report.state)) continue;
      known.report = report;
      if (hasFailed(known.spec, report) && !known.spec.critical && !this.#losses.has(known))
        this.#losses.set(known, this.#causeOf(known.spec, report));
      if (hasFailed(known.spec, report) && known.spec.critical && !this.#broken) {
        this.#broken = true;
        this.#options.onBroken(this.#causeOf(known.spec, report));
      }
    }
    this.#wake();
  }

  /** Once for all that came in together: whoever waits looks at everything that is wanted. */
  #wake(): void {
    if (this.#waking || this.#listeners.length === 0) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      for (const listener of this.#listeners.splice(0)) listener();
    });
  }

  /** Why each process is gone that was lost and is not critical: of the last deployment, also after its end. */
  losses(): Promise<Cause[]> {
    return Promise.all([...this.#losses.values()].map((cause) => this.withTail(cause)));
  }

  /** A cause as it was told, with the end of the log, which nobody waited for. */
  async withTail(cause: Cause): Promise<Cause> {
    const logTail = await this.#tails.get(cause);
    return logTail ? { ...cause, logTail } : cause;
  }

  /** A sentence for each process that is alive and does not serve as it should: what goes wrong may be its doing. */
  sick(): string[] {
    return [...this.#wanted.values()]
      .filter(({ spec, report }) => report?.state === 'degraded' && spec.role !== 'benchmark')
      .map(({ spec, report }) => `${describe(spec.id, spec.role, spec.node)} is degraded: ${report?.why}`);
  }

  #causeOf(spec: ProcessSpec, report: ProcessReport): Cause {
    const seen = this.#options.causeOf(spec, report);
    const sick = spec.role === 'benchmark' ? this.sick() : [];
    const cause = sick.length === 0 ? seen : { ...seen, summary: [seen.summary, ...sick].join('; ') };
    this.#tails.set(cause, this.#options.logTailOf(spec, this.agentOf(spec)));
    return cause;
  }

  /** Resolves when a process that is expected to end has ended with exit code 0; never resolves when it fails. */
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
    this.#options.onGeneration(generation);
    await Promise.all(
      this.#options.roster.nodes.map((node) => {
        const later = (this.#laterOf.get(node) ?? []).map(({ id, ports }) => ({ id, ports }));
        return this.#ask(node, signal, later.length > 0 ? { later } : {});
      }),
    );
  }

  /**
   * Asks all nodes whether the ports of a point are free, before anything is started on one of them: what starts on a
   * node whose ports are free would meet another job's engines on a node whose ports are not, and both fail of it.
   * undefined when there is nothing to ask.
   */
  #look(specs: readonly ProcessSpec[], signal: AbortSignal): Promise<unknown> | undefined {
    const keyOf = ({ id, ports }: ProcessSpec) => `${id} ${JSON.stringify(ports)}`;
    const isNew = (spec: ProcessSpec) => !this.#wanted.has(spec.id) && !this.#looked.has(keyOf(spec));
    const fresh = specs.filter((spec) => Object.keys(spec.ports).length > 0 && isNew(spec));
    for (const spec of fresh) this.#looked.add(keyOf(spec));
    // A single agent looks when it is asked to start them.
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

  /** A process kept from the last point may have failed in between, when no point was there to be told. */
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
      // What the run can do without is not waited for in vain.
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
      // The signal lives as long as a benchmark, and news come each second: none of them may leave anything on it.
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
 * The phase in which a process must become ready. A router that waits for its workers is started with them, but
 * workers are ready before it is: what it reports is what the point warms up for.
 */
export const awaitedIn = (spec: ProcessSpec): DeployPhase =>
  spec.role === 'frontend' ? 'frontend' : spec.phase;

const firstAsked = (spec: ProcessSpec, since: number): Known => ({ spec, since, report: undefined });

/** What is known of a process by a new spec; that one was ready is worth nothing when it must become so once more. */
function next(known: Known, spec: ProcessSpec, generation: number): Known {
  if (known.spec === spec) return known;
  if (!sameProcess(known.spec, spec)) return firstAsked(spec, generation);
  const isStale = readyAnew(known.spec, spec) && !(known.report && hasEnded(known.report.state));
  return isStale ? firstAsked(spec, generation) : { ...known, spec };
}

/** Ended while it is wanted: success only for what is expected to end, with exit code 0. */
const hasFailed = (spec: ProcessSpec, report: ProcessReport): boolean =>
  report.state === 'failed' || (report.state === 'stopped' && !(spec.terminates && report.exitCode === 0));
