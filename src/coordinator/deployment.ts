import { isDeepStrictEqual } from 'node:util';
import { CausedError } from '../machines/point.ts';
import type { Bus } from '../messages/bus.ts';
import { BusTimeout } from '../messages/bus.ts';
import { type Desired, desiredReplySchema, type ProcessReport } from '../messages/control.ts';
import { WIRE_VERSION } from '../messages/events.ts';
import { type DeployPhase, deployPhases, type ProcessSpec } from '../messages/process-spec.ts';
import type { Cause } from '../messages/result.ts';
import type { ProcessState } from '../messages/states.ts';
import type { Subjects } from '../messages/subjects.ts';
import type { Roster } from './roster.ts';

/** Attempts at one agent, and ms for each, before its desired state counts as unanswered. */
const ASK = { attempts: 3, timeoutMs: 3_000 } as const;

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
  /** Makes the cause of a failed process, with the end of its log. */
  readonly causeOf: (spec: ProcessSpec, report: ProcessReport) => Promise<Cause>;
  readonly onBroken: (cause: Cause) => void;
  readonly onGeneration: (generation: number) => void;
  readonly ask?: { readonly attempts: number; readonly timeoutMs: number };
}

/** What should run where: sends whole desired states, and knows which of what it asked for is ready. */
export class Deployment {
  readonly #options: DeploymentOptions;
  #generation: number;
  #wanted = new Map<string, Known>();
  #listeners: (() => void)[] = [];
  #broken = false;

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
  }

  /** The desired state of one node as it is now; what a hello is answered with. */
  desiredOf(node: string): Desired {
    const processes = [...this.#wanted.values()]
      .map((known) => known.spec)
      .filter((spec) => (this.#options.agentOf?.(spec) ?? spec.node) === node);
    return { v: WIRE_VERSION, epoch: this.#options.epoch, generation: this.#generation, processes };
  }

  /**
   * Asks for all processes up to `phase`, and for those of later phases that already run exactly so (a point that
   * reuses them must not stop them meanwhile), and resolves when those of `phase` are ready.
   */
  async deploy(processes: readonly ProcessSpec[], phase: DeployPhase, signal: AbortSignal): Promise<void> {
    const upTo = deployPhases.indexOf(phase);
    const wanted = processes.filter(
      (spec) =>
        deployPhases.indexOf(spec.phase) <= upTo || isDeepStrictEqual(this.#wanted.get(spec.id)?.spec, spec),
    );
    await this.#want(wanted, signal);
    await this.#refuseFailed();
    await this.#untilReady(
      wanted.filter((spec) => awaitedIn(spec) === phase),
      signal,
    );
  }

  /** Nothing is wanted any more. Returns the generation of the empty set; it is the caller's to broadcast. */
  clear(): number {
    this.#wanted = new Map();
    this.#broken = false;
    this.#generation++;
    this.#options.onGeneration(this.#generation);
    return this.#generation;
  }

  /** What agents say, by event, heartbeat or answer. The first failure of a critical process is told, once. */
  learn(reports: readonly ProcessReport[]): void {
    for (const report of reports) {
      const known = this.#wanted.get(report.id);
      if (!known || report.generation < known.since) continue;
      // Events and heartbeats take different ways: what has ended does not come back to life.
      if (known.report && hasEnded(known.report.state) && !hasEnded(report.state)) continue;
      known.report = report;
      if (hasFailed(known.spec, report) && known.spec.critical && !this.#broken) {
        this.#broken = true;
        void this.#options.causeOf(known.spec, report).then(this.#options.onBroken);
      }
    }
    for (const listener of this.#listeners.splice(0)) listener();
  }

  /** Resolves when a process that is expected to end has ended with exit code 0; never resolves when it fails. */
  async completed(id: string, signal: AbortSignal): Promise<void> {
    const isDone = (): boolean => {
      const report = this.#wanted.get(id)?.report;
      return report?.state === 'stopped' && report.exitCode === 0;
    };
    while (!isDone()) await this.#news(signal);
  }

  async #want(specs: readonly ProcessSpec[], signal: AbortSignal): Promise<void> {
    const generation = ++this.#generation;
    const before = this.#wanted;
    this.#wanted = new Map(
      specs.map((spec) => {
        const known = before.get(spec.id);
        const same = known !== undefined && isDeepStrictEqual(known.spec, spec);
        return [spec.id, same ? known : { spec, since: generation, report: undefined }];
      }),
    );
    this.#options.onGeneration(generation);
    await Promise.all(this.#options.roster.nodes.map((node) => this.#ask(node, signal)));
  }

  /** A process kept from the last point may have failed in between, when no point was there to be told. */
  async #refuseFailed(): Promise<void> {
    for (const { spec, report } of this.#wanted.values())
      if (report && spec.critical && hasFailed(spec, report)) {
        this.#broken = true;
        throw new CausedError(await this.#options.causeOf(spec, report));
      }
  }

  async #ask(node: string, signal: AbortSignal): Promise<void> {
    const { bus, subjects } = this.#options;
    const subject = subjects.desired(node);
    const ask = this.#options.ask ?? ASK;
    let problem = '';
    for (let attempt = 0; attempt < ask.attempts; attempt++) {
      signal.throwIfAborted();
      try {
        const reply = await bus.request(subject, this.desiredOf(node), desiredReplySchema, ask.timeoutMs);
        if (reply.accepted) {
          this.learn(reply.processes);
          return;
        }
        problem = `refused its desired state: ${reply.reason}`;
        break;
      } catch (error) {
        problem = error instanceof BusTimeout ? 'did not answer its desired state' : String(error);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    signal.throwIfAborted();
    throw new CausedError({ summary: `the agent of ${node} ${problem}`, node });
  }

  async #untilReady(specs: readonly ProcessSpec[], signal: AbortSignal): Promise<void> {
    const isReady = (spec: ProcessSpec): boolean => {
      const state: ProcessState | undefined = this.#wanted.get(spec.id)?.report?.state;
      if (spec.role === 'step') return state === 'stopped';
      return state === 'ready' || state === 'degraded' || (spec.terminates && state === 'stopped');
    };
    while (!specs.every(isReady)) await this.#news(signal);
  }

  async #news(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.#listeners.push(resolve);
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

const hasEnded = (state: ProcessState): boolean => state === 'failed' || state === 'stopped';

/** Ended while it is wanted: success only for what is expected to end, with exit code 0. */
const hasFailed = (spec: ProcessSpec, report: ProcessReport): boolean =>
  report.state === 'failed' || (report.state === 'stopped' && !(spec.terminates && report.exitCode === 0));
