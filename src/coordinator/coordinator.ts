import { join } from 'node:path';
import type { Logger } from 'pino';
import { createActor, fromPromise } from 'xstate';
import { type FailurePolicy, failurePolicy } from '../machines/failure-policy.ts';
import { CausedError, topState } from '../machines/point.ts';
import { sweepMachine } from '../machines/sweep.ts';
import type { Bus } from '../messages/bus.ts';
import type { Lease } from '../messages/control.ts';
import { type SrtEvent, WIRE_VERSION } from '../messages/events.ts';
import type { GpuHolder } from '../messages/gpu-holder.ts';
import type { JobSpec, JobState } from '../messages/job-files.ts';
import type { ProcessSpec } from '../messages/process-spec.ts';
import type { Cause, PointResult } from '../messages/result.ts';
import type { SweepState } from '../messages/states.ts';
import { subjectsOf } from '../messages/subjects.ts';
import type { Plan } from '../plan/kinds.ts';
import type { SweepSettings } from '../recipe/sweep-settings.ts';
import { timeLimitMs } from '../recipe/time-limit.ts';
import { MPI_GROUP } from '../slurm/agent-places.ts';
import type { AgentLaunch, AgentPlace, Platform } from '../slurm/launcher.ts';
import { causeOfProcess } from './cause.ts';
import { type Channel, openChannel } from './channel.ts';
import { type CleanupOptions, cleanUp, dismissAgents } from './cleanup.ts';
import { type AgentExtras, agentConfigFile, removeCredentials, writeCredentials } from './credentials.ts';
import { Deployment } from './deployment.ts';
import { requireCleanNodes } from './dirty-nodes.ts';
import { jobPaths } from './files.ts';
import type { JobKeys } from './keys.ts';
import type { NatsServer } from './nats-server.ts';
import { Points } from './points.ts';
import { receive } from './reception.ts';
import { ResultsFile } from './results-file.ts';
import { Roster, type Supervision } from './roster.ts';
import { StateFile } from './state-file.ts';

const LEASE_EVERY_MS = 1_000;

export interface CoordinatorOptions {
  readonly spec: JobSpec;
  /** The agents that are to join: one on each node, and one more for each further image. */
  readonly agents: readonly AgentPlace[];
  readonly agentExtras: AgentExtras;
  readonly points: readonly { readonly ordinal: number; readonly name: string }[];
  readonly sweep: SweepSettings;
  /** Valid results that are there before the job begins: their points are not run again. */
  readonly finished: readonly PointResult[];
  /** Plans the points when the addresses of the nodes are known. */
  readonly plan: (addresses: ReadonlyMap<string, string>) => Plan;
  readonly pointDir: (ordinal: number, name: string) => string;
  readonly platform: Platform;
  readonly nats: NatsServer;
  readonly keys: JobKeys;
  readonly supervision: Supervision;
  readonly joinTimeoutMs: number;
  readonly epoch: number;
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
  #channel: Channel | undefined;
  readonly #policy: FailurePolicy;
  readonly #results: ResultsFile;
  #deployment: Deployment | undefined;
  #plan: Plan | undefined;
  #leaseTimer: NodeJS.Timeout | undefined;
  #interrupt: ((why: string, exitCode: number) => void) | undefined;
  #booting: Promise<void> = Promise.resolve();
  #ending = false;
  readonly #gpuHolders = new Map<string, readonly GpuHolder[]>();
  #busIsGone = false;

  constructor(options: CoordinatorOptions) {
    const { spec, agents, points, supervision } = options;
    this.#options = options;
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
          if (to === 'lost' && !this.#ending)
            this.#crippled({ summary: `the agent of ${node} is lost: ${why}`, node });
        },
        onReports: (node, reports) => this.#deployment?.learn(reports, node),
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
    const state: JobState = {
      v: 1,
      jobId: spec.jobId,
      name: spec.name,
      epoch: options.epoch,
      generation: 0,
      streamSeq: 0,
      coordinatorPid: process.pid,
      updatedAt: new Date().toISOString(),
      ...(spec.resultSet === undefined ? {} : { resultSet: spec.resultSet }),
      sweep: 'booting',
      exitCode: null,
      points: points.map(({ ordinal, name }) => {
        const state = options.finished.some((result) => result.ordinal === ordinal) ? 'done' : 'planned';
        return { ordinal, name, state, status: state === 'done' ? state : null };
      }),
      cause: null,
    };
    this.#state = new StateFile(this.#paths.state, state, (error) =>
      this.#defect('state.json cannot be written', error),
    );
    this.#policy = failurePolicy(options.sweep.on_failure);
    this.#results = new ResultsFile(this.#paths.results);
    this.#points = new Points({
      ...options,
      jobId: spec.jobId,
      subjects: this.#subjects,
      eventsFile: this.#paths.events,
      results: this.#results,
      policy: this.#policy,
      points: () => this.#state.current.points,
      save: (change) => this.#save(change),
      saved: () => this.#state.saved(),
      timeLimitMs: timeLimitMs(options.sweep.point_time_limit ?? ''),
      send: (subject, body) => this.#channel?.outbox.send(subject, body),
      publish: (subject, message) => this.#channel?.bus.publish(subject, message),
      cleanup: () => this.#cleanup(),
      onDefect: (what, error) => this.#defect(what, error),
    });
  }

  /** Stops the job in good order. `exitCode` is what the run then ends with. */
  interrupt(why: string, exitCode: number): void {
    this.#options.log.warn(why);
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
    const { finished } = this.#options;
    const actor = createActor(machine, {
      input: {
        ordinals: this.#options.points
          .map(({ ordinal }) => ordinal)
          .filter((ordinal) => !finished.some((result) => result.ordinal === ordinal)),
        done: finished.length,
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
              output?.exitCode ?? null,
              snapshot.context.cause,
            );
            state = next;
          }
          if (output) resolve(output.exitCode);
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
    this.#crippleSweep?.(cause);
    this.#points.send({ type: 'point.broken', cause });
  }

  /** nats-server has ended again and again: nobody can be reached. */
  busGone(why: string): void {
    this.#busIsGone = true;
    this.#crippled({ summary: `the bus is gone: ${why}` });
  }

  async #boot(signal: AbortSignal): Promise<void> {
    const { spec, agents, nats, keys, platform, epoch, log, joinTimeoutMs } = this.#options;
    await writeCredentials(this.#options);
    signal.throwIfAborted();
    // Agents take longer to load than we take to listen, and say hello until they are answered.
    platform.launchAgents(
      agents.map((agent) => this.#launchOf(agent)),
      (node, reason) => this.#roster.ended(node, `its agent ${reason}`),
    );
    const channel = await openChannel({
      url: nats.url,
      jobId: spec.jobId,
      keys,
      epoch,
      eventsFile: this.#paths.events,
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
      generation: 1,
      agentOf: agentsByNode(agents),
      causeOf: (process, report) => causeOfProcess(process, report, bus, this.#subjects),
      onBroken: (cause) => this.#points.send({ type: 'point.broken', cause }),
      onGeneration: (generation) => this.#save({ generation }),
    });
    this.#tellSweep(null, 'booting', 'submitted', null, null);
    await this.#points.begin(this.#options.finished);
    this.#receive(bus, this.#deployment);
    await channel.watchDisconnects((name, reason) => this.#roster.disconnected(name, reason));
    signal.throwIfAborted();
    this.#leaseTimer = setInterval(() => this.#sendLease(), LEASE_EVERY_MS);
    await this.#allJoined(joinTimeoutMs, signal);
    this.#plan = this.#options.plan(this.#roster.addresses);
    requireCleanNodes(this.#plan, this.#gpuHolders, (node, says) => this.#warnOf(node, says));
    // Silence counts from now on: while all agents load, whoever came first may be late with a heartbeat.
    this.#roster.watch(() => bus.status.connected);
  }

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

  async #allJoined(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const timer = setTimeout(() => this.#roster.joinTimeout(timeoutMs), timeoutMs);
    try {
      await this.#roster.until(() => {
        const [lost] = this.#roster.lost;
        if (lost !== undefined)
          throw new CausedError({ summary: `the agent of ${lost} is lost`, node: lost });
        return this.#roster.nodes.every((node) => this.#roster.stateOf(node) === 'joined');
      }, signal);
    } finally {
      clearTimeout(timer);
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
      isEnding: () => this.#ending,
      onHello: ({ node, gpuHolders }) => this.#gpuHolders.set(node, gpuHolders ?? []),
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

  async #runPoint(ordinal: number, attempt: number) {
    const point = this.#plan?.points.find((candidate) => candidate.ordinal === ordinal);
    if (!point || !this.#deployment) throw new Error(`no point ${ordinal}`);
    return this.#points.run(point, attempt, this.#deployment);
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
    await this.#channel?.close(deadlineMs);
    this.#save({});
    await this.#state.saved();
    await this.#channel?.disconnect();
    await this.#options.nats.stop();
    await removeCredentials(this.#options.spec);
    await this.#options.platform.release();
  }

  #sendLease(): void {
    const { epoch } = this.#options;
    const generation = this.#deployment?.generation ?? 0;
    this.#channel?.bus.publish(this.#subjects.allLease, {
      v: WIRE_VERSION,
      epoch,
      generation,
      lost: this.#roster.lost,
    } satisfies Lease);
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
    this.#channel?.outbox.send(this.#subjects.sweepTransition, {
      kind: 'sweep.transition',
      from,
      to,
      why,
      points,
      exitCode,
      cause,
    });
  }

  #save(change: Partial<JobState>): void {
    this.#state.save({ ...change, streamSeq: this.#channel?.journal.streamSeq ?? 0 });
  }

  #defect(what: string, error: unknown): void {
    this.#options.log.error({ error: error instanceof Error ? error.stack : error }, what);
  }
}
