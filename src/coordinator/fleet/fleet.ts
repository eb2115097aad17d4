import type { FleetEvent, Post } from '../../machines/addresses.ts';
import { CausedError } from '../../machines/point.ts';
import type { Desired, ProcessReport } from '../../messages/events/control.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import type { Generation } from '../../messages/spec/counters.ts';
import { type DeployPhase, deployPhases } from '../../messages/spec/deploy-phases.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { sameProcess } from '../../messages/spec/same-process.ts';
import { hasEnded } from '../../messages/spec/states.ts';
import { describe } from '../../why/describe.ts';
import type { WorkerRestarts } from '../workers/worker-restarts.ts';
import type { ProcessCauses } from './cause.ts';
import { DesiredStates, type DesiredStatesOptions } from './desired-states.ts';
import { awaitedIn, hasFailed, isNeeded, isReady, type Known, orderOf, Wanted } from './wanted.ts';

/** Time beyond their grace that the ranks of an endpoint get to end before it starts again, ms. */
const REST_MS = 10_000;

export interface FleetOptions extends DesiredStatesOptions {
  readonly causes: Pick<ProcessCauses, 'causeOf' | 'logTailOf'>;
  readonly restarts: WorkerRestarts;
  /** Delivers the first failure to the point, and the ends of workers that may start again. */
  readonly post: Pick<Post, 'tell'>;
}

/** The fleet: the processes that are wanted, their desired states at the agents, and their reports. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #states: DesiredStates;
  readonly #wanted = new Wanted();
  #waking = false;
  /** The wanted processes are those of the previous run, and no agent has heard of them from this coordinator. */
  #isUntold = false;
  #listeners: (() => void)[] = [];
  #broken = false;
  /** Processes that agents reported before this coordinator wanted any, and how often each had started again. */
  readonly #reported = new Map<string, number>();
  /** Fires when nothing is wanted any more. */
  #released = new AbortController();
  /** Processes that were lost and are not critical. */
  #losses = new Map<Known, Cause>();
  readonly #tails = new WeakMap<Cause, Promise<string[]>>();

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#states = new DesiredStates(options, (reports, agent) => this.learn(reports, agent));
  }

  get generation(): Generation {
    return this.#states.generation;
  }

  /** true after the first decision of this coordinator on what runs, even if the decision was that nothing runs. */
  get isDecided(): boolean {
    return this.#states.isDecided;
  }

  /**
   * These processes run already, because the previous coordinator wanted them. A deployment of the same specs leaves them
   * alone, in any phase. Agents report their states in the answers to it.
   */
  adopt(running: readonly ProcessSpec[]): void {
    for (const spec of running) this.#options.restarts.seen(spec, this.#reported.get(spec.id) ?? 0);
    const now = running.map((spec) => this.#options.restarts.current(spec));
    this.#wanted.adopt(now, this.#states.generation + 1);
    this.#isUntold = true;
  }

  hear(event: FleetEvent): void {
    switch (event.type) {
      case 'agent.reports':
        if (!this.isDecided) for (const { id, restart = 0 } of event.reports) this.#reported.set(id, restart);
        this.learn(event.reports, event.node);
        break;
      case 'process.moved':
        this.learn([event.report], event.node);
        break;
      case 'endpoint.rest':
        this.#rest(event);
        break;
      case 'endpoint.start':
        this.#startAgain(event.endpoint, event.number).catch((error: unknown) => this.#broke(error));
    }
  }

  /** None of the endpoint's processes is wanted until it starts again: without one of them the others are useless. */
  #rest(event: Extract<FleetEvent, { type: 'endpoint.rest' }>): void {
    this.#options.restarts.rest(event.policy, event);
    void this.#tellAll().catch((error: unknown) => this.#broke(error));
  }

  async #startAgain(endpoint: string, number: number): Promise<void> {
    const ranks = (): Known[] => this.#wanted.ranksOf(endpoint);
    const signal = this.#released.signal;
    const longest = Math.max(0, ...ranks().map(({ spec }) => spec.graceMs)) + REST_MS;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(longest)]);
    const isOver = ({ report }: Known): boolean => report === undefined || hasEnded(report.state);
    // A rank that is still being stopped could meet the new ones.
    while (!patience.aborted && !ranks().every(isOver)) await this.#news(patience).catch(() => undefined);
    if (signal.aborted) return;
    this.#options.restarts.start(endpoint, number);
    for (const { spec } of ranks())
      this.#wanted.renew(this.#options.restarts.current(spec), this.#states.generation + 1);
    for (const known of this.#losses.keys()) if (!this.#wanted.has(known)) this.#losses.delete(known);
    this.#wake();
    await this.#tellAll();
  }

  /** Sends every agent its desired state after a change of what rests. */
  async #tellAll(): Promise<void> {
    this.#states.set(this.wanted);
    await this.#states.tell(this.#released.signal);
  }

  /** The desired state could not be delivered. After a clear this fails no point. */
  #broke(error: unknown): void {
    if (this.#released.signal.aborted && !(error instanceof CausedError)) return;
    const cause = error instanceof CausedError ? error.causeOf : { summary: String(error) };
    this.#options.post.tell('point', { type: 'point.broken', cause });
  }

  /** true for a process that an agent reported before this coordinator wanted any. */
  wasReported({ id }: Pick<ProcessSpec, 'id'>): boolean {
    return this.#reported.has(id);
  }

  /** The desired state of one node as it is now; the answer to a hello. */
  desiredOf(agent: string): Desired {
    return this.#states.of(agent);
  }

  /**
   * Wants all processes up to `phase`, and those of later phases that run already (a point that reuses them must not stop
   * them meanwhile; how they are monitored changes in their own phase). Resolves when the processes of `phase` are ready.
   */
  async deploy(planned: readonly ProcessSpec[], phase: DeployPhase, signal: AbortSignal): Promise<void> {
    const orders = new Set(planned.filter((spec) => awaitedIn(spec) === phase).map(orderOf));
    for (const order of [...orders].sort((a, b) => a - b))
      await this.#deployOrder(planned, phase, order, signal);
  }

  async #deployOrder(
    planned: readonly ProcessSpec[],
    phase: DeployPhase,
    order: number,
    signal: AbortSignal,
  ): Promise<void> {
    const processes = planned.map((spec) => this.#options.restarts.current(spec));
    const upTo = deployPhases.indexOf(phase);
    const comesLater = (spec: ProcessSpec, its: DeployPhase): boolean =>
      deployPhases.indexOf(its) > upTo || (its === phase && orderOf(spec) > order);
    const wanted = processes.flatMap((spec) => {
      const known = this.#wanted.get(spec.id)?.spec;
      if (known && comesLater(spec, awaitedIn(spec)) && sameProcess(known, spec)) return [known];
      return comesLater(spec, spec.phase) ? [] : [spec];
    });
    if (!this.#stands(wanted, processes)) {
      const started = new Set(wanted.map(({ id }) => id));
      const later = processes.filter(({ id }) => !started.has(id));
      await this.#want(wanted, later, signal);
    }
    this.#refuseFailed();
    await this.#untilReady(
      wanted.filter((spec) => awaitedIn(spec) === phase && orderOf(spec) <= order),
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
    return this.#wanted.all.every(
      ({ spec, report }) => stays.has(spec.id) || (report !== undefined && hasEnded(report.state)),
    );
  }

  /** true when exactly this spec is wanted, so that its process may run. */
  isWanted(spec: ProcessSpec): boolean {
    return this.#wanted.isWanted(spec);
  }

  /** A running process, and the agent that runs it. */
  running(id: string): { readonly pid: number; readonly agent: string; readonly node: string } | undefined {
    const known = this.#wanted.get(id);
    const { pid, state } = known?.report ?? {};
    if (!known || pid == null || state === undefined || hasEnded(state)) return undefined;
    return { pid, agent: this.agentOf(known.spec), node: known.spec.node };
  }

  /** All processes that are wanted, without those that rest before they start again. */
  get wanted(): ProcessSpec[] {
    const all = this.#wanted.all.map(({ spec }) => spec);
    return all.filter((spec) => !this.#options.restarts.isResting(spec));
  }

  /** No process is wanted any more. Returns the generation of the empty set, which the caller broadcasts. */
  clear(): Generation {
    this.#wanted.clear();
    this.#broken = false;
    this.#released.abort();
    this.#released = new AbortController();
    this.#options.restarts.release();
    this.#options.post.tell('restarts', { type: 'workers.released' });
    return this.#states.clear();
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
      if (report.state === 'ready') known.wasReady = true;
      if (hasFailed(known.spec, report)) this.#noteFailure(known, report);
      else if (report.state === 'ready') this.#noteReady(known.spec);
    }
    this.#wake();
  }

  #noteFailure(known: Known, report: ProcessReport): void {
    const { spec } = known;
    const { restartPolicy: policy } = spec;
    const { restarts, post } = this.#options;
    // The other ranks of an endpoint end with the first.
    if (restarts.isResting(spec) || known.hasFailed) return;
    known.hasFailed = true;
    const critical = isNeeded(known);
    // When a service that is the run ends, that is the run's result and no failure.
    if (critical ? this.#broken && policy === undefined : spec.terminates) return;
    const cause = this.#causeOf(spec, report);
    if (!critical) this.#losses.set(known, cause);
    if (policy) {
      const clean = report.exitCode === 0 && report.stopped !== true;
      post.tell('restarts', { type: 'worker.ended', policy, cause, critical, clean });
    } else if (critical) {
      this.#broken = true;
      post.tell('point', { type: 'point.broken', cause });
    }
  }

  #noteReady({ restartPolicy }: ProcessSpec): void {
    const { restarts } = this.#options;
    if (!restartPolicy || !restarts.isStarting(restartPolicy.endpoint)) return;
    const isUp = ({ report }: Known): boolean => report?.state === 'ready' || report?.state === 'degraded';
    if (this.#wanted.ranksOf(restartPolicy.endpoint).every(isUp)) restarts.back(restartPolicy.endpoint);
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
    return this.#wanted.all
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

  /** Resolves when all of these have ended, with the cause of each that ended with an error. */
  async ended(ids: readonly string[], signal: AbortSignal): Promise<Cause[]> {
    while (!ids.every((id) => this.hasEnded(id))) await this.#news(signal);
    return ids.flatMap((id) => {
      const { spec, report } = this.#wanted.get(id) ?? {};
      return spec && report && hasFailed(spec, report) ? [this.#causeOf(spec, report)] : [];
    });
  }

  /** true for a wanted process whose end has been reported. */
  hasEnded(id: string): boolean {
    const state = this.#wanted.get(id)?.report?.state;
    return state !== undefined && hasEnded(state);
  }

  /** Name of the agent that runs a process. */
  agentOf(spec: ProcessSpec): string {
    return this.#states.agentOf(spec);
  }

  async #want(
    specs: readonly ProcessSpec[],
    later: readonly ProcessSpec[],
    signal: AbortSignal,
  ): Promise<void> {
    const look = this.#states.look(
      [...specs, ...later],
      ({ id }) => this.#wanted.get(id) !== undefined,
      signal,
    );
    if (look) await look;
    this.#isUntold = false;
    // A worker may have started again while agents looked at ports.
    const current = specs.map((spec) => this.#options.restarts.current(spec));
    this.#wanted.become(current, this.#states.generation + 1);
    for (const known of this.#losses.keys()) if (!this.#wanted.has(known)) this.#losses.delete(known);
    this.#states.set(this.wanted);
    await this.#states.tell(signal, later);
  }

  /** A process kept from the previous point may have failed between the points, when no point could hear of it. */
  #refuseFailed(): void {
    for (const { spec, report } of this.#wanted.all)
      if (report && spec.critical && hasFailed(spec, report) && !this.#options.restarts.isResting(spec)) {
        this.#broken = true;
        throw new CausedError(this.#causeOf(spec, report));
      }
  }

  async #untilReady(specs: readonly ProcessSpec[], signal: AbortSignal): Promise<void> {
    const { restarts } = this.#options;
    const isUp = (spec: ProcessSpec): boolean =>
      !restarts.isResting(spec) && isReady(spec, this.#wanted.get(spec.id)?.report);
    while (!specs.every(isUp)) await this.#news(signal);
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
