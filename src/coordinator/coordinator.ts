import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createActor, fromPromise } from 'xstate';
import { EXIT } from '../errors.ts';
import { type FailurePolicy, failurePolicy } from '../machines/failure-policy.ts';
import { CausedError, type PointOutcome, topState } from '../machines/point.ts';
import { sweepMachine } from '../machines/sweep.ts';
import type { Bus } from '../messages/bus.ts';
import type { Lease } from '../messages/control.ts';
import { type SrtEvent, WIRE_VERSION } from '../messages/events.ts';
import type { GpuHolder } from '../messages/gpu-holder.ts';
import type { JobSpec, JobState, StateChange } from '../messages/job-files.ts';
import type { ProcessSpec } from '../messages/process-spec.ts';
import type { Cause, PointResult } from '../messages/result.ts';
import type { SweepState } from '../messages/states.ts';
import { subjectsOf } from '../messages/subjects.ts';
import type { SweepPlan } from '../plan/kinds.ts';
import type { SweepSettings } from '../recipe/sweep-settings.ts';
import { timeLimitMs } from '../recipe/time-limit.ts';
import { MPI_GROUP } from '../slurm/agent-places.ts';
import type { AgentLaunch, AgentPlace, Platform } from '../slurm/launcher.ts';
import { causeOfProcess, logTailOf } from './cause.ts';
import { type Channel, openChannel } from './channel.ts';
import { type CleanupOptions, cleanUp, dismissAgents } from './cleanup.ts';
import { Continuation } from './continuation.ts';
import { type AgentExtras, agentConfigFile, removeCredentials, writeCredentials } from './credentials.ts';
import { Deployment } from './deployment.ts';
import { requireCleanNodes } from './dirty-nodes.ts';
import type { Fence } from './fence.ts';
import { jobPaths } from './files.ts';
import type { JobKeys } from './keys.ts';
import type { NatsServer } from './nats-server.ts';
import { Points } from './points.ts';
import { receive } from './reception.ts';
import { Replacements } from './replacements.ts';
import { ResultsFile } from './results-file.ts';
import { Roster, type Supervision } from './roster.ts';
import { StateFile } from './state-file.ts';
import type { Before } from './tenure.ts';
import { Allotment } from './time-left.ts';

/** Beyond the lease, for agents of an earlier coordinator: who has not said hello then is started anew. */
const REJOIN_MS = 5_000;

export interface CoordinatorOptions {
  readonly spec: JobSpec;
  /** The agents that are to join: one on each node, and one more for each further image. */
  readonly agents: readonly AgentPlace[];
  readonly agentExtras: AgentExtras;
  readonly points: readonly { readonly ordinal: number; readonly name: string }[];
  readonly sweep: SweepSettings;
  /** Results that are there before this coordinator begins: points with a valid one are not run again. */
  readonly results: readonly PointResult[];
  /** Plans the points when the addresses of the nodes are known. */
  readonly plan: (addresses: ReadonlyMap<string, string>, without: readonly string[]) => SweepPlan;
  readonly pointDir: (ordinal: number, name: string) => string;
  readonly platform: Platform;
  readonly nats: NatsServer;
  readonly keys: JobKeys;
  readonly supervision: Supervision;
  readonly joinTimeoutMs: number;
  readonly relaunchAgents: boolean;
  /** Nodes beyond what the plan needs. */
  readonly spareNodes: number;
  /** When the allocation ends, ms since the epoch. */
  readonly endsAt: number | null;
  readonly epoch: number;
  /** Its node-local directory. */
  readonly home: string;
  readonly fence: Fence;
  /** What a coordinator that was killed has left. */
  readonly before: Before | null;
  /** Told of what the plan is made for, before it is. Resolves when another coordinator could know it. */
  readonly onNodes: (addresses: ReadonlyMap<string, string>, without: readonly string[]) => Promise<void>;
  /** The catalogue of known failures. */
  readonly signatures: string;
  readonly log: Logger;
}

/**
 * The agent on a process's node that lives in its image; a process without an image is the first one's. An MPI launch is
 * started by the agent that is there for it, if there is one.
 */
function agentsByNode(agents: readonly AgentPlace[]): (spec: ProcessSpec) => string {
  const byNode = new Map<string, AgentPlace[]>();
  for (const agent of agents) byNode.set(agent.node, [...(byNode.get(agent.node) ?? []), agent]);
  return ({ node, image, mpi }) => {
    const here = byNode.get(node) ?? [];
    const own =
      here.find(({ group }) => (mpi ? group.name === MPI_GROUP : image !== null && group.image === image)) ??
      here[0];
    return own?.name ?? node;
  };
}

/** The actor that owns the job: feeds the sweep machine, and does what it asks for. */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #subjects;
  readonly #paths;
  readonly #roster: Roster;
  readonly #state: StateFile;
  readonly #cleaning: CleanupOptions;
  readonly #points: Points;
  readonly #policy: FailurePolicy;
  readonly #replacements: Replacements;
  readonly #allotment: Allotment;
  readonly #continuation: Continuation;
  /** Aborted when the run is to end early. */
  readonly #stopping = new AbortController();
  #channel: Channel | undefined;
  #deployment: Deployment | undefined;
  #plan: SweepPlan | undefined;
  #leaseTimer: NodeJS.Timeout | undefined;
  #interrupt: ((why: string, exitCode: number) => void) | undefined;
  #booting: Promise<void> = Promise.resolve();
  #ending = false;
  /** Tells of the end: whoever hears it finds it in state.json, too. */
  #lastWord: () => void = () => undefined;
  /** The point that runs is tried again for a node that it lost, whatever the sweep's policy. */
  #triesForLost = false;
  readonly #gpuHolders = new Map<string, readonly GpuHolder[]>();
  #busIsGone = false;

  constructor(options: CoordinatorOptions) {
    const { spec, agents, points, supervision } = options;
    this.#options = options;
    this.#continuation = new Continuation(options.before, options.results);
    this.#subjects = subjectsOf(spec.jobId);
    this.#paths = jobPaths(spec.jobDir, spec.jobId);
    this.#roster = new Roster(
      agents.map(({ name }) => name),
      supervision,
      {
        onTransition: (node, from, to, why) => {
          this.#channel?.outbox.send(this.#subjects.agentTransition(node), {
            kind: 'agent.transition',
            node,
            from,
            to,
            why,
          });
          options.log.info({ node, from, to, why }, 'agent');
          if (this.#ending || (to !== 'lost' && to !== 'left')) return;
          const summary =
            to === 'lost' ? `the agent of ${node} is lost: ${why}` : `the agent of ${node} has ended: ${why}`;
          this.#points.send({ type: 'point.broken', cause: { summary, node } });
        },
        onReports: (node, reports) => {
          if (!this.#deployment?.isDecided) this.#continuation.found(reports.map(({ id }) => id));
          this.#deployment?.learn(reports, node);
        },
        onDefect: (what, error) => this.#defect(what, error),
      },
      () => performance.now(),
    );
    this.#cleaning = {
      ...options,
      subjects: this.#subjects,
      roster: this.#roster,
      bus: () => this.#channel?.bus,
      deployment: () => this.#deployment,
      isBusGone: () => this.#busIsGone,
    };
    this.#replacements = new Replacements({
      ...options,
      roster: this.#roster,
      without: options.before?.lifeline?.without ?? [],
      launch: (agent) => this.#launchAgents([agent]),
    });
    this.#allotment = new Allotment(options.endsAt, Date.now(), options.before?.resumption.durations);
    const state: JobState = {
      v: 1,
      jobId: spec.jobId,
      name: spec.name,
      epoch: options.epoch,
      coordinatorPid: process.pid,
      home: { host: hostname(), directory: options.home },
      updatedAt: new Date().toISOString(),
      ...(spec.resultSet === undefined ? {} : { resultSet: spec.resultSet }),
      sweep: 'booting',
      exitCode: null,
      ...this.#continuation.stateOf(points),
    };
    this.#state = new StateFile(
      this.#paths.state,
      state,
      (error) => this.#defect('state.json cannot be written', error),
      () => options.fence.check(),
    );
    this.#policy = failurePolicy(options.sweep.on_failure);
    this.#points = new Points({
      ...options,
      jobId: spec.jobId,
      subjects: this.#subjects,
      eventsFile: this.#paths.events,
      results: new ResultsFile(this.#paths.results),
      policy: this.#policy,
      points: () => this.#state.current.points,
      save: (change) => this.#save(change),
      saved: () => this.#state.saved(),
      timeLimitMs: timeLimitMs(options.sweep.point_time_limit ?? ''),
      triesAgain: () => this.#triesForLostNode(),
      send: (subject, body) => this.#channel?.outbox.send(subject, body),
      publish: (subject, message) => this.#channel?.bus.publish(subject, message),
      cleanup: () => this.#cleanup(),
      mayWrite: () => options.fence.check(),
      onDefect: (what, error) => this.#defect(what, error),
    });
  }

  /** Says in state.json where this coordinator is. Resolves when it is on disk. */
  async announce(): Promise<void> {
    this.#state.save({});
    await this.#state.saved();
  }

  /** Stops the job in good order. `exitCode` is what the run then ends with. */
  interrupt(why: string, exitCode: number): void {
    this.#options.log.warn(why);
    this.#stopping.abort();
    this.#interrupt?.(why, exitCode);
    this.#points.send({ type: 'point.interrupt', why });
  }

  /** Runs the job to its end and resolves with the exit code. Nothing of the job runs any more then. */
  async run(): Promise<number> {
    const machine = sweepMachine.provide({
      actors: {
        boot: fromPromise(({ signal }) => {
          this.#booting = this.#boot(signal);
          return this.#booting;
        }),
        point: fromPromise(({ input }) => this.#runPoint(input.ordinal, input.attempt)),
        cleanup: fromPromise(() => this.#cleanup()),
        finish: fromPromise(() => this.#dismissAgents()),
      },
    });
    const actor = createActor(machine, {
      input: {
        ...this.#continuation.standing,
        ordinals: this.#continuation.left(this.#options.points.map(({ ordinal }) => ordinal)),
        policy: this.#policy,
      },
    });
    this.#interrupt = (why, exitCode) => actor.send({ type: 'sweep.interrupt', why, exitCode });
    this.#crippleSweep = (cause) => actor.send({ type: 'sweep.crippled', cause });
    let state: SweepState | null = null;
    const exitCode = await new Promise<number>((resolve) => {
      actor.subscribe({
        next: (snapshot) => {
          const next = topState(snapshot.value) as SweepState;
          const output = snapshot.status === 'done' ? snapshot.output : undefined;
          // The first state is told when there is a bus to tell it on.
          if (next !== state && state === null) state = next;
          if (next !== state) {
            this.#tellSweep(
              state,
              next,
              snapshot.context.why,
              output ? this.#continuation.exitCodeOf(output.exitCode) : null,
              snapshot.context.cause,
            );
            state = next;
          }
          if (output) resolve(this.#continuation.exitCodeOf(output.exitCode));
        },
        error: (error) => {
          this.#defect('the sweep machine broke', error);
          resolve(70);
        },
      });
      actor.start();
    });
    await this.#shutDown();
    return exitCode;
  }

  #crippleSweep: ((cause: Cause) => void) | undefined;

  /** Something is gone that the run cannot do without. */
  #crippled(cause: Cause): void {
    if (this.#ending) return;
    this.#stopping.abort();
    this.#crippleSweep?.(cause);
    this.#points.send({ type: 'point.broken', cause });
  }

  /** nats-server has ended again and again: nobody can be reached. */
  busGone(why: string): void {
    this.#busIsGone = true;
    this.#crippled({ summary: `the bus is gone: ${why}` });
  }

  async #boot(signal: AbortSignal): Promise<void> {
    const { spec, agents, nats, keys, epoch, log, fence, before } = this.#options;
    await writeCredentials(this.#options);
    signal.throwIfAborted();
    // Agents take longer to load than we take to listen, and say hello until they are answered.
    this.#launch();
    const channel = await openChannel({
      url: nats.url,
      jobId: spec.jobId,
      keys,
      epoch,
      eventsFile: this.#paths.events,
      eventsFrom: this.#continuation.eventsFrom,
      mayWrite: () => fence.check(),
      log,
      onEvent: (event) => this.#onEvent(event),
      onDenied: (error) => this.#crippled({ summary: `the bus refused the coordinator: ${error.message}` }),
    });
    this.#channel = channel;
    const { bus } = channel;
    this.#deployment = new Deployment({
      bus,
      subjects: this.#subjects,
      roster: this.#roster,
      epoch,
      generation: this.#state.current.generation + 1,
      agentOf: agentsByNode(agents),
      causeOf: causeOfProcess,
      logTailOf: (process) => logTailOf(process, bus, this.#subjects),
      onBroken: (cause) => this.#points.send({ type: 'point.broken', cause }),
      onGeneration: (generation) => this.#save({ generation }),
    });
    const why = before ? `the coordinator was started again (epoch ${epoch})` : 'submitted';
    this.#tellSweep(null, 'booting', why, null, this.#state.current.cause);
    await this.#points.begin(this.#continuation.results, { announce: before === null });
    this.#receive(bus, this.#deployment);
    await channel.watchDisconnects((name, reason) => this.#roster.disconnected(name, reason));
    signal.throwIfAborted();
    this.#leaseTimer = setInterval(() => this.#sendLease(), this.#options.supervision.heartbeatMs);
    this.#sendLease();
    await this.#allJoined(signal);
    this.#plan = await this.#makePlan();
    this.#continuation.adoptInto(this.#deployment, this.#plan, this.#roster.newcomers);
    // Silence counts from now on: while all agents load, whoever came first may be late with a heartbeat.
    this.#roster.watch(() => bus.status.connected);
  }

  /** For the nodes that there are. */
  async #makePlan(): Promise<SweepPlan> {
    const { onNodes, plan } = this.#options;
    const { without } = this.#replacements;
    const addresses = this.#continuation.addresses(this.#roster.addresses);
    await onNodes(addresses, without);
    const made = plan(addresses, without);
    await requireCleanNodes(made, this.#gpuHolders, (node, says) => this.#warnOf(node, says));
    return made;
  }

  /** Starts the agents that do not run. Those of an earlier coordinator say hello again. */
  #launch(): void {
    const { agents, platform } = this.#options;
    const launches = agents.map((agent) => this.#launchOf(agent));
    this.#continuation.expect(platform.adoptAgents(this.#continuation.launched, launches, this.#onAgentEnd));
    const { expected } = this.#continuation;
    const { nodes } = this.#roster;
    this.#launchAgents(agents.filter(({ name }) => nodes.includes(name) && !expected.includes(name)));
  }

  #launchAgents(agents: readonly AgentPlace[]): void {
    this.#options.platform.launchAgents(
      agents.map((agent) => this.#launchOf(agent)),
      this.#onAgentEnd,
    );
  }

  readonly #onAgentEnd = (node: string, reason: string): void => {
    const agent = this.#options.agents.find(({ name }) => name === node);
    // One of an earlier coordinator, that has ended meanwhile.
    if (agent && this.#continuation.giveUp(node) && this.#roster.stateOf(node) === 'expected')
      this.#launchAgents([agent]);
    else this.#roster.ended(node, `its agent ${reason}`);
  };

  #launchOf(agent: AgentPlace): AgentLaunch {
    return {
      ...agent,
      configFile: agentConfigFile(this.#options.spec, agent.name),
      logFile: join(this.#paths.logs, `${agent.name.replace('/', '_')}_agent.out`),
    };
  }

  /** Something about a node that does not change its agent's state, for everybody to see. */
  #warnOf(node: string, why: string): void {
    this.#options.log.warn({ node, why }, 'agent');
    const state = this.#roster.stateOf(node) ?? 'joined';
    const event = { kind: 'agent.transition', node, from: state, to: state, why } as const;
    this.#channel?.outbox.send(this.#subjects.agentTransition(node), event);
  }

  async #allJoined(signal: AbortSignal): Promise<void> {
    const { joinTimeoutMs, supervision } = this.#options;
    const rejoin = setTimeout(() => {
      const silent = this.#continuation.expected.filter((node) => this.#roster.stateOf(node) === 'expected');
      for (const node of silent) this.#roster.replace(node);
      this.#launchAgents(this.#options.agents.filter(({ name }) => silent.includes(name)));
    }, supervision.leaseMs + REJOIN_MS);
    const timer = setTimeout(() => this.#roster.joinTimeout(joinTimeoutMs), joinTimeoutMs);
    try {
      await this.#roster.until(() => {
        const [lost] = this.#roster.lost;
        if (lost !== undefined)
          throw new CausedError({
            summary: `the agent of ${lost} is lost: ${this.#roster.whyOf(lost)}`,
            node: lost,
          });
        return this.#roster.nodes.every((node) => this.#roster.stateOf(node) === 'joined');
      }, signal);
    } finally {
      clearTimeout(timer);
      clearTimeout(rejoin);
    }
  }

  #receive(bus: Bus, deployment: Deployment): void {
    const { supervision, log } = this.#options;
    receive({
      bus,
      subjects: this.#subjects,
      roster: this.#roster,
      supervision,
      desiredOf: (agent) => deployment.desiredOf(agent),
      isDecided: () => deployment.isDecided,
      isEnding: () => this.#ending,
      onHello: ({ node, gpuHolders }) => this.#gpuHolders.set(node, gpuHolders ?? []),
      onLease: (epoch) => this.#options.fence.heard(epoch),
      onObeyed: (epoch) => this.#options.fence.told(epoch),
      onCancel: (by) => {
        log.warn({ by }, 'cancel');
        this.interrupt(`cancelled by ${by}`, 143);
      },
    });
  }

  #onEvent(event: SrtEvent): void {
    if (event.kind !== 'process.transition') return;
    const { process: id, to, pid, generation, why, exitCode, signal } = event;
    this.#deployment?.learn([{ id, state: to, pid, generation, why, exitCode, signal }], event.node);
  }

  /** `attempt` counts those of the sweep's policy; those for lost nodes come on top. */
  async #runPoint(ordinal: number, attempt: number): Promise<PointOutcome> {
    for (;;) {
      const refused = await this.#beforePoint(ordinal);
      if (refused) return refused;
      const startedAt = performance.now();
      const outcome = await this.#runOnce(ordinal, attempt);
      if (outcome.status === 'done') this.#allotment.took(performance.now() - startedAt);
      if (outcome.status !== 'failed' || !this.#triesForLost) return outcome;
      const cause = outcome.cause?.summary;
      this.#options.log.warn({ ordinal, cause }, 'tries the point again: it lost a node');
    }
  }

  /** Whether a failed point is tried again on a spare node. Each time costs one, so that it comes to an end. */
  #triesForLostNode(): boolean {
    this.#triesForLost = this.#options.spareNodes > 0 && this.#replacements.hasSpareForLost;
    return this.#triesForLost;
  }

  /** Whether there is time for the point, and an agent on each node. Resolves with its outcome when it cannot run. */
  async #beforePoint(ordinal: number): Promise<PointOutcome | null> {
    // One that runs already has had its answer.
    if (this.#continuation.isRunning(ordinal)) return null;
    const refused: PointOutcome = { status: 'interrupted', cause: null, result: null };
    const tooLate = this.#allotment.refuses(ordinal, Date.now());
    if (tooLate !== null) {
      this.interrupt(tooLate, EXIT.outOfTime);
      return refused;
    }
    if (this.#roster.gone.length === 0) return null;
    try {
      const cause = await this.#replacements.restore(this.#stopping.signal);
      if (cause) this.#crippled(cause);
      if (cause) return refused;
      this.#plan = await this.#makePlan();
      return null;
    } catch (error) {
      // Who is told to stop is not waiting for agents any more.
      if (this.#stopping.signal.aborted) return refused;
      throw error;
    }
  }

  async #runOnce(ordinal: number, attempt: number): Promise<PointOutcome> {
    const point = this.#plan?.point(ordinal);
    if (!point || !this.#deployment) throw new Error(`no point ${ordinal}`);
    this.#triesForLost = false;
    const before = this.#continuation.interrupted(ordinal);
    return this.#points.run(point, { isFirst: attempt === 1, before }, this.#deployment);
  }

  async #cleanup(): Promise<void> {
    // A boot that was given up must not start anything after the cleanup.
    await this.#booting.catch(() => undefined);
    await cleanUp(this.#cleaning);
  }

  async #dismissAgents(): Promise<void> {
    this.#ending = true;
    await dismissAgents(this.#cleaning);
  }

  /** After the machine has finished: the last events reach the file, then the bus ends. */
  async #shutDown(): Promise<void> {
    clearInterval(this.#leaseTimer);
    this.#roster.close();
    const deadlineMs = this.#busIsGone ? 0 : 3_000;
    await this.#state.saved();
    this.#lastWord();
    await this.#channel?.close(deadlineMs);
    this.#save({});
    await this.#state.saved();
    await this.#channel?.disconnect();
    await this.#options.nats.stop();
    await removeCredentials(this.#options.spec);
    await this.#options.platform.release();
  }

  #sendLease(): void {
    const { epoch, fence } = this.#options;
    fence.check();
    fence.touch();
    this.#heedEnd();
    const generation = this.#deployment?.generation ?? 0;
    this.#channel?.bus.publish(this.#subjects.allLease, {
      v: WIRE_VERSION,
      epoch,
      generation,
      lost: this.#roster.lost,
      replaced: this.#roster.replaced,
    } satisfies Lease);
  }

  /** Slurm says so earlier; should that get lost, there is time to stop in good order still. */
  #heedEnd(): void {
    const why = this.#ending || this.#stopping.signal.aborted ? null : this.#allotment.isOver(Date.now());
    if (why !== null) this.interrupt(why, EXIT.outOfTime);
  }

  #tellSweep(
    from: SweepState | null,
    to: SweepState,
    why: string,
    exitCode: number | null,
    cause: Cause | null,
  ): void {
    this.#save({ sweep: to, exitCode, cause });
    this.#options.log.info({ from, to, why, exitCode, cause: cause?.summary }, 'sweep');
    const points = this.#options.points.length;
    const tell = (): void =>
      this.#channel?.outbox.send(this.#subjects.sweepTransition, {
        kind: 'sweep.transition',
        from,
        to,
        why,
        points,
        exitCode,
        cause,
      });
    if (to === 'finished') this.#lastWord = tell;
    else tell();
  }

  #save(change: StateChange): void {
    this.#state.save({
      ...change,
      streamSeq: this.#channel?.journal.streamSeq ?? this.#state.current.streamSeq,
    });
  }

  #defect(what: string, error: unknown): void {
    this.#options.log.error({ error: error instanceof Error ? error.stack : error }, what);
  }
}
