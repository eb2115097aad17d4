import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createActor, fromPromise } from 'xstate';
import * as z from 'zod';
import { CausedError, topState } from '../machines/point.ts';
import { sweepMachine } from '../machines/sweep.ts';
import type { Bus, EventOutbox } from '../messages/bus.ts';
import {
  type AllDesired,
  cancelRequestSchema,
  type HelloReply,
  heartbeatSchema,
  helloSchema,
  type Lease,
} from '../messages/control.ts';
import { parseEvents, type SrtEvent, WIRE_VERSION } from '../messages/events.ts';
import type { JobSpec, JobState } from '../messages/job-files.ts';
import { connectBus, inboxOf } from '../messages/nats-bus.ts';
import { createOutbox } from '../messages/outbox.ts';
import type { ProcessSpec } from '../messages/process-spec.ts';
import type { Cause } from '../messages/result.ts';
import type { SweepState } from '../messages/states.ts';
import { SYSTEM_DISCONNECT, subjectsOf } from '../messages/subjects.ts';
import type { Plan } from '../plan/kinds.ts';
import type { AgentPlace, Platform } from '../slurm/launcher.ts';
import { explain } from '../why/explain.ts';
import { readSignatures } from '../why/signatures.ts';
import { causeOfProcess } from './cause.ts';
import { type AgentExtras, agentConfigFile, removeCredentials, writeCredentials } from './credentials.ts';
import { Deployment } from './deployment.ts';
import { jobPaths } from './files.ts';
import { Journal } from './journal.ts';
import type { JobKeys } from './keys.ts';
import type { NatsServer } from './nats-server.ts';
import { type PointRun, startPoint } from './point-run.ts';
import { Roster, type Supervision } from './roster.ts';
import { StateFile } from './state-file.ts';
import { createStream } from './stream.ts';

const LEASE_EVERY_MS = 1_000;
const LEAVE_TIMEOUT_MS = 15_000;

export interface CoordinatorOptions {
  readonly spec: JobSpec;
  /** The agents that are to join: one on each node, and one more for each further image. */
  readonly agents: readonly AgentPlace[];
  readonly agentExtras: AgentExtras;
  readonly points: readonly { readonly ordinal: number; readonly name: string }[];
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

const disconnectSchema = z.object({
  client: z.object({ name: z.string().optional(), user: z.string().optional() }),
  reason: z.string().optional(),
});

/** The agent on a process's node that lives in its image; a process without an image is the first one's. */
function agentsByNode(agents: readonly AgentPlace[]): (spec: ProcessSpec) => string {
  const byNode = new Map<string, AgentPlace[]>();
  for (const agent of agents) byNode.set(agent.node, [...(byNode.get(agent.node) ?? []), agent]);
  return ({ node, image }) => {
    const here = byNode.get(node) ?? [];
    const own = here.find((agent) => image !== null && agent.group.image === image) ?? here[0];
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
  #bus: Bus | undefined;
  #systemBus: Bus | undefined;
  #outbox: EventOutbox | undefined;
  #journal: Journal | undefined;
  #deployment: Deployment | undefined;
  #plan: Plan | undefined;
  #run: PointRun | undefined;
  #leaseTimer: NodeJS.Timeout | undefined;
  #interrupt: ((why: string, exitCode: number) => void) | undefined;
  #booting: Promise<void> = Promise.resolve();
  #ending = false;
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
          this.#outbox?.send(this.#subjects.agentTransition(node), {
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
    const state: JobState = {
      v: 1,
      jobId: spec.jobId,
      name: spec.name,
      epoch: options.epoch,
      generation: 0,
      streamSeq: 0,
      coordinatorPid: process.pid,
      updatedAt: new Date().toISOString(),
      sweep: 'booting',
      exitCode: null,
      points: points.map(({ ordinal, name }) => ({ ordinal, name, state: 'planned', status: null })),
      cause: null,
    };
    this.#state = new StateFile(this.#paths.state, state, (error) =>
      this.#defect('state.json cannot be written', error),
    );
  }

  /** Stops the job in good order. `exitCode` is what the run then ends with. */
  interrupt(why: string, exitCode: number): void {
    this.#options.log.warn(why);
    this.#interrupt?.(why, exitCode);
    this.#run?.send({ type: 'point.interrupt', why });
  }

  /** Runs the job to its end and resolves with the exit code. Nothing of the job runs any more then. */
  async run(): Promise<number> {
    const machine = sweepMachine.provide({
      actors: {
        boot: fromPromise(({ signal }) => {
          this.#booting = this.#boot(signal);
          return this.#booting;
        }),
        point: fromPromise(({ input }) => this.#runPoint(input.ordinal)),
        cleanup: fromPromise(() => this.#cleanup()),
        finish: fromPromise(() => this.#dismissAgents()),
      },
    });
    const actor = createActor(machine, {
      input: { ordinals: this.#options.points.map((point) => point.ordinal) },
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
    this.#run?.send({ type: 'point.broken', cause });
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
      agents.map((agent) => ({
        ...agent,
        configFile: agentConfigFile(spec, agent.name),
        logFile: join(this.#paths.logs, `${agent.name.replace('/', '_')}_agent.out`),
      })),
      (node, reason) => this.#roster.ended(node, `its agent ${reason}`),
    );
    const connection = {
      url: nats.url,
      ca: keys.tls?.ca,
      job: spec.jobId,
      log: (text: string, detail: unknown) => log.warn({ detail }, text),
    };
    const onDenied = (error: Error) =>
      this.#crippled({ summary: `the bus refused the coordinator: ${error.message}` });
    const bus = await connectBus({
      ...connection,
      seed: keys.coordinator.seed,
      name: `coordinator ${epoch}`,
      inbox: inboxOf('coordinator'),
      onDenied,
    });
    this.#bus = bus;
    await createStream(nats.url, keys.coordinator.seed, spec.jobId, keys.tls?.ca);
    this.#outbox = createOutbox({ bus, source: `coordinator:${epoch}`, now: () => new Date() });
    this.#journal = new Journal(bus, this.#paths.events, 1, (event) => this.#onEvent(event));
    this.#deployment = new Deployment({
      bus,
      subjects: this.#subjects,
      roster: this.#roster,
      epoch,
      generation: 1,
      agentOf: agentsByNode(agents),
      causeOf: (process, report) => causeOfProcess(process, report, bus, this.#subjects),
      onBroken: (cause) => this.#run?.send({ type: 'point.broken', cause }),
      onGeneration: (generation) => this.#save({ generation }),
    });
    this.#tellSweep(null, 'booting', 'submitted', null, null);
    this.#listen(bus);
    this.#systemBus = await connectBus({
      ...connection,
      seed: keys.system.seed,
      name: 'coordinator (system)',
      inbox: inboxOf('system'),
    });
    this.#systemBus.subscribe(SYSTEM_DISCONNECT, disconnectSchema, ({ message }) => {
      const { name, user } = message.client;
      // Anybody may call himself what he likes; the key says whose connection it was.
      const isOwn = [...keys.agents].some(
        ([node, { publicKey }]) => publicKey === user && name?.startsWith(`agent ${node} `),
      );
      if (name && isOwn) this.#roster.disconnected(name, message.reason ?? 'connection closed');
    });
    await Promise.all([bus.settled(), this.#systemBus.settled()]);
    signal.throwIfAborted();
    this.#leaseTimer = setInterval(() => this.#sendLease(), LEASE_EVERY_MS);
    await this.#allJoined(joinTimeoutMs, signal);
    this.#plan = this.#options.plan(this.#roster.addresses);
    // Silence counts from now on: while all agents load, whoever came first may be late with a heartbeat.
    this.#roster.watch(() => bus.status.connected);
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

  #listen(bus: Bus): void {
    const { epoch, supervision, log } = this.#options;
    bus.subscribe(this.#subjects.hello('*'), helloSchema, ({ message, subject, respond }) => {
      // The server lets an agent use its own subject only; the message must say the same name.
      if (subject !== this.#subjects.hello(message.node)) return;
      const isLate = this.#ending && this.#roster.stateOf(message.node) === 'expected';
      const answer = isLate ? 'late' : this.#roster.hello(message);
      const refuse = (reason: string) =>
        respond({ v: WIRE_VERSION, welcome: false, reason } satisfies HelloReply);
      if (answer === 'late') return refuse('the job is over');
      if (answer === 'unknown') return refuse('this node is not of the allocation');
      if (answer === 'lost') return refuse('this node is held for lost');
      const desired = this.#deployment?.desiredOf(message.node) ?? {
        v: WIRE_VERSION,
        epoch,
        generation: 0,
        processes: [],
      };
      respond({ v: WIRE_VERSION, welcome: true, leaseMs: supervision.leaseMs, desired } satisfies HelloReply);
    });
    bus.subscribe(this.#subjects.heartbeat('*'), heartbeatSchema, ({ message, subject }) => {
      if (subject === this.#subjects.heartbeat(message.node)) this.#roster.heartbeat(message);
    });
    bus.subscribe(this.#subjects.cancel, cancelRequestSchema, ({ message, respond }) => {
      respond({ v: WIRE_VERSION, accepted: true });
      log.warn({ by: message.by }, 'cancel');
      this.interrupt(`cancelled by ${message.by}`, 143);
    });
  }

  #onEvent(event: SrtEvent): void {
    if (event.kind !== 'process.transition') return;
    const { process: id, to, pid, generation, why, exitCode, signal } = event;
    this.#deployment?.learn([{ id, state: to, pid, generation, why, exitCode, signal }], event.node);
  }

  async #runPoint(ordinal: number) {
    const point = this.#plan?.points.find((candidate) => candidate.ordinal === ordinal);
    const deployment = this.#deployment;
    if (!point || !deployment) throw new Error(`no point ${ordinal}`);
    const { spec } = this.#options;
    const outbox = this.#outbox;
    this.#run = startPoint({
      jobId: spec.jobId,
      point,
      pointDir: this.#options.pointDir(ordinal, point.name),
      deployment,
      cleanup: () => this.#cleanup(),
      explain: (told) => this.#explain(ordinal, told),
      onTransition: (from, to, why, cause) => {
        const subject = this.#subjects.pointTransition(ordinal);
        outbox?.send(subject, { kind: 'point.transition', ordinal, name: point.name, from, to, why, cause });
        const status = to === 'done' || to === 'failed' || to === 'interrupted' ? to : null;
        const points = this.#state.current.points.map((entry) =>
          entry.ordinal === ordinal ? { ...entry, state: to, status } : entry,
        );
        this.#save({ points });
        this.#options.log.info({ ordinal, from, to, why, cause: cause?.summary }, 'point');
      },
      onProgress: (progress) =>
        this.#bus?.publish(this.#subjects.pointProgress(ordinal), {
          v: WIRE_VERSION,
          at: new Date().toISOString(),
          ordinal,
          progress,
        }),
      onResult: (result) =>
        outbox?.send(this.#subjects.pointResult(ordinal), { kind: 'point.result', ordinal, result }),
      onDefect: (what, error) => this.#defect(what, error),
    });
    const outcome = await this.#run.outcome;
    this.#run = undefined;
    return outcome;
  }

  async #explain(ordinal: number, told: Cause): Promise<Cause> {
    try {
      const text = await readFile(this.#paths.events, 'utf8');
      return await explain(parseEvents(text), ordinal, told, readSignatures(this.#options.signatures));
    } catch (error) {
      this.#defect('the cause could not be looked into', error);
      return told;
    }
  }

  /** The empty set to everybody, again and again, until nothing is left or who is left has no lease any more. */
  async #cleanup(): Promise<void> {
    const { supervision, log } = this.#options;
    // A boot that was given up must not start anything after the cleanup.
    await this.#booting.catch(() => undefined);
    const generation = this.#deployment?.clear();
    // Without a bus nobody hears the empty set: agents are ended by signal, and end what they run.
    if (this.#busIsGone) await this.#options.platform.stop(this.#roster.lost);
    if (generation === undefined || this.#busIsGone) return;
    const deadline = AbortSignal.timeout(supervision.leaseMs + 30_000);
    const repeat = setInterval(() => this.#broadcastEmpty(generation, false), 500);
    this.#broadcastEmpty(generation, false);
    try {
      await this.#roster.until(() => this.#roster.isClean(generation), deadline);
    } catch {
      log.error({ nodes: this.#roster.unclean(generation) }, 'cleanup is not complete');
    } finally {
      clearInterval(repeat);
    }
  }

  #broadcastEmpty(generation: number, end: boolean): void {
    const message: AllDesired = { v: WIRE_VERSION, epoch: this.#options.epoch, generation, end };
    this.#bus?.publish(this.#subjects.allDesired, message);
  }

  /** Tells every agent to end, waits for their goodbyes, and lets the platform end what does not. */
  async #dismissAgents(): Promise<void> {
    this.#ending = true;
    const generation = this.#deployment?.clear();
    const isGone = (node: string) =>
      ['left', 'lost', 'expected'].includes(this.#roster.stateOf(node) ?? 'left');
    if (generation !== undefined && !this.#busIsGone) {
      const deadline = AbortSignal.timeout(LEAVE_TIMEOUT_MS);
      const repeat = setInterval(() => this.#broadcastEmpty(generation, true), 500);
      this.#broadcastEmpty(generation, true);
      await this.#roster.until(() => this.#roster.nodes.every(isGone), deadline).catch(() => undefined);
      clearInterval(repeat);
    }
    await this.#options.platform.stop(this.#roster.lost);
  }

  /** After the machine has finished: the last events reach the file, then the bus ends. */
  async #shutDown(): Promise<void> {
    clearInterval(this.#leaseTimer);
    this.#roster.close();
    const deadlineMs = this.#busIsGone ? 0 : 3_000;
    await this.#outbox?.flush(deadlineMs);
    await this.#journal?.close(deadlineMs, this.#outbox?.unsent() ?? []);
    this.#save({});
    await this.#state.saved();
    await this.#systemBus?.close(500);
    await this.#bus?.close(1_000);
    await this.#options.nats.stop();
    await removeCredentials(this.#options.spec);
    await this.#options.platform.release();
  }

  #sendLease(): void {
    const { epoch } = this.#options;
    const generation = this.#deployment?.generation ?? 0;
    this.#bus?.publish(this.#subjects.allLease, {
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
    this.#outbox?.send(this.#subjects.sweepTransition, {
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
    this.#state.save({ ...change, streamSeq: this.#journal?.streamSeq ?? 0 });
  }

  #defect(what: string, error: unknown): void {
    this.#options.log.error({ error: error instanceof Error ? error.stack : error }, what);
  }
}
