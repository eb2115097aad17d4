import { type FailurePolicy, failurePolicy } from '../machines/failure-policy.ts';
import type { Bus } from '../messages/bus/bus.ts';
import type { Lease } from '../messages/events/control.ts';
import { type ClockOffset, type SrtEvent, WIRE_VERSION } from '../messages/events/events.ts';
import { subjectsOf } from '../messages/events/subjects.ts';
import { jobPaths } from '../messages/job-directory/files.ts';
import type { Cause } from '../messages/job-directory/result.ts';
import type { SweepPlan } from '../model/kinds.ts';
import { EXIT } from '../os/errors.ts';
import { timeLimitMs } from '../recipe/values/time-limit.ts';
import { receive } from './agents/agent-messages.ts';
import { Clocks } from './agents/clocks.ts';
import { Replacements } from './agents/replacements.ts';
import { Roster } from './agents/roster.ts';
import { Agents, agentsByNode } from './agents.ts';
import { type Channel, openChannel } from './bus-server/coordinator-bus.ts';
import { removeCredentials, writeCredentials } from './bus-server/credentials.ts';
import type { CoordinatorOptions } from './coordinator-options.ts';
import { JobRecord } from './job-record.ts';
import { AliveFile } from './record/alive-file.ts';
import { ResultsFile } from './record/results-file.ts';
import { ofAttempt } from './sweep/attempt.ts';
import { causeOfProcess, logTailOf } from './sweep/cause.ts';
import { type CleanupOptions, cleanUp, dismissAgents } from './sweep/cleanup.ts';
import { Deployment } from './sweep/deployment.ts';
import { Planning } from './sweep/planning.ts';
import { PointGate } from './sweep/point-gate.ts';
import { Points } from './sweep/points.ts';
import { type SweepRun, startSweep } from './sweep/sweep-run.ts';
import { TimeBudget } from './sweep/time-budget.ts';
import { PreviousRun } from './takeover/previous-run.ts';

/** The actor that owns the job: feeds the sweep machine, and does what it asks for. */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #subjects;
  readonly #paths;
  readonly #roster: Roster;
  readonly #record: JobRecord;
  readonly #cleaning: CleanupOptions;
  readonly #points: Points;
  readonly #policy: FailurePolicy;
  readonly #agents: Agents;
  readonly #replacements: Replacements;
  readonly #planning: Planning;
  readonly #timeBudget: TimeBudget;
  readonly #attempts: PointGate;
  readonly #previousRun: PreviousRun;
  readonly #alive: AliveFile;
  /** Aborted when the run is to end early. */
  readonly #stopping = new AbortController();
  #channel: Channel | undefined;
  #deployment: Deployment | undefined;
  #clocks: Clocks | undefined;
  /** By source; of a long job they are not among its recent events. */
  readonly #clockOffsets = new Map<string, ClockOffset>();
  #leaseTimer: NodeJS.Timeout | undefined;
  #sweep: SweepRun | undefined;
  #booting: Promise<unknown> = Promise.resolve();
  #ending = false;
  #busIsGone = false;

  constructor(options: CoordinatorOptions) {
    const { spec, found } = options;
    this.#options = options;
    this.#previousRun = new PreviousRun(found, options.results);
    this.#record = new JobRecord(options, this.#previousRun);
    this.#subjects = subjectsOf(spec.jobId);
    this.#paths = jobPaths(spec.jobDir, spec.jobId);
    this.#roster = this.#createRoster();
    this.#alive = new AliveFile(spec.jobDir, options.epoch);
    this.#cleaning = {
      ...options,
      subjects: this.#subjects,
      roster: this.#roster,
      bus: () => this.#channel?.bus,
      deployment: () => this.#deployment,
      isBusGone: () => this.#busIsGone,
    };
    const shared = { ...options, roster: this.#roster, previousRun: this.#previousRun };
    this.#agents = new Agents(shared);
    this.#replacements = new Replacements({
      ...shared,
      without: this.#previousRun.without,
      launch: (agent) => this.#agents.launch([agent]),
    });
    this.#planning = new Planning({
      ...shared,
      replacements: this.#replacements,
      warnOf: (node, why) => this.#record.warning(node, this.#roster.stateOf(node) ?? 'joined', why),
    });
    this.#timeBudget = new TimeBudget(options.endsAt, options.clock.now(), this.#previousRun.durations);
    this.#policy = failurePolicy(options.sweep.on_failure);
    this.#points = this.#createPoints();
    this.#attempts = new PointGate({
      ...shared,
      replacements: this.#replacements,
      timeBudget: this.#timeBudget,
      planning: this.#planning,
      points: this.#points,
      deployment: () => this.#deployment,
      stopping: this.#stopping.signal,
      interrupt: (why, exitCode) => this.interrupt(why, exitCode),
      crippled: (cause) => this.#crippled(cause),
    });
  }

  #createRoster(): Roster {
    const { agents, supervision } = this.#options;
    return new Roster(
      agents.map(({ name }) => name),
      supervision,
      {
        onTransition: (node, from, to, why) => {
          this.#record.agent(node, from, to, why);
          if (this.#ending || (to !== 'lost' && to !== 'left')) return;
          // The job goes on without its node.
          if (!this.#roster.nodes.includes(node)) return;
          const summary =
            to === 'lost' ? `the agent of ${node} is lost: ${why}` : `the agent of ${node} has ended: ${why}`;
          this.#points.send({ type: 'point.broken', cause: { summary, node } });
        },
        onReports: (node, reports) => {
          if (!this.#deployment?.isDecided) this.#previousRun.agentHolds(reports.map(({ id }) => id));
          this.#deployment?.learn(reports, node);
        },
        onDefect: (what, error) => this.#record.defect(what, error),
      },
      () => performance.now(),
    );
  }

  #createPoints(): Points {
    const { spec, sweep, epochLock } = this.#options;
    return new Points({
      ...this.#options,
      jobId: spec.jobId,
      subjects: this.#subjects,
      eventsFile: this.#paths.events,
      clockOffsets: () => [...this.#clockOffsets.values()],
      eventsWritten: async () => this.#channel?.journal.written(),
      results: new ResultsFile(this.#paths.results),
      policy: this.#policy,
      points: () => this.#record.state.points,
      save: (change) => this.#record.save(change),
      saved: () => this.#record.saved(),
      timeLimitMs: timeLimitMs(sweep.point_time_limit ?? ''),
      triesAgain: () => this.#attempts.triesForLostNode(),
      send: (body) => this.#record.send(body),
      publish: (subject, message) => this.#channel?.bus.publish(subject, message),
      cleanup: () => this.#cleanup(),
      mayWrite: () => epochLock.check(),
      onDefect: (what, error) => this.#record.defect(what, error),
    });
  }

  /** Says in state.json where this coordinator is. Resolves when it is on disk. */
  async announce(): Promise<void> {
    this.#record.save({});
    await this.#record.saved();
  }

  /** Stops the job in good order. `exitCode` is what the run then ends with. */
  interrupt(why: string, exitCode: number): void {
    this.#options.log.warn(why);
    this.#stopping.abort();
    this.#sweep?.interrupt(why, exitCode);
    this.#points.send({ type: 'point.interrupt', why });
  }

  /** Runs the job to its end and resolves with the exit code. Nothing of the job runs any more then. */
  async run(): Promise<number> {
    const previousRun = this.#previousRun;
    this.#sweep = startSweep({
      input: {
        ...previousRun.standing,
        ordinals: previousRun.left(this.#options.points.map(({ ordinal }) => ordinal)),
        policy: this.#policy,
      },
      boot: (signal) => {
        const booting = this.#boot(signal).finally(() => this.#agents.bootEnded());
        this.#booting = booting;
        return booting;
      },
      point: (ordinal, attempt) => this.#attempts.run(ordinal, attempt),
      cleanup: () => this.#points.end().then(() => this.#cleanup()),
      finish: () => this.#dismissAgents(),
      // The first state is told when there is a bus to tell it on.
      onTransition: (from, to, why, exitCode, cause) =>
        this.#record.sweep(from, to, why, exitCode === null ? null : previousRun.exitCodeOf(exitCode), cause),
      onDefect: (what, error) => this.#record.defect(what, error),
    });
    const exitCode = await this.#sweep.exitCode;
    await this.#shutDown();
    return previousRun.exitCodeOf(exitCode);
  }

  /** Something is gone that the run cannot do without. */
  #crippled(cause: Cause): void {
    if (this.#ending) return;
    this.#stopping.abort();
    this.#sweep?.crippled(cause);
    this.#points.send({ type: 'point.broken', cause });
  }

  /** nats-server has ended again and again: nobody can be reached. */
  busGone(why: string): void {
    this.#busIsGone = true;
    this.#crippled({ summary: `the bus is gone: ${why}` });
  }

  /** Resolves with how it went, for people. */
  async #boot(signal: AbortSignal): Promise<string> {
    const { spec, agents, nats, keys, epoch, clock, log, epochLock, found } = this.#options;
    await writeCredentials(this.#options);
    signal.throwIfAborted();
    // Agents take longer to load than we take to listen, and say hello until they are answered.
    this.#agents.begin();
    const channel = await openChannel({
      url: nats.url,
      jobId: spec.jobId,
      keys,
      epoch,
      clock,
      signal,
      eventsFile: this.#paths.events,
      eventsFrom: this.#previousRun.eventsFrom,
      mayWrite: () => epochLock.check(),
      log,
      onEvent: (event) => this.#onEvent(event),
      onDenied: (error) => this.#crippled({ summary: `the bus refused the coordinator: ${error.message}` }),
    });
    this.#channel = channel;
    this.#record.tellOn(channel);
    const { bus } = channel;
    this.#deployment = new Deployment({
      bus,
      subjects: this.#subjects,
      roster: this.#roster,
      epoch,
      generation: this.#record.state.generation + 1,
      agentOf: agentsByNode(agents),
      causeOf: causeOfProcess,
      logTailOf: (process, agent) => logTailOf(process, agent, bus, this.#subjects),
      onBroken: (cause) => this.#points.send({ type: 'point.broken', cause }),
      onGeneration: (generation) => this.#record.save({ generation }),
    });
    const why = found ? `the coordinator was started again (epoch ${epoch})` : 'submitted';
    this.#record.sweep(null, 'booting', why, null, this.#record.state.cause);
    await this.#points.begin(this.#previousRun.results, { announce: found === null });
    this.#clocks = new Clocks({
      ...{ bus, subjects: this.#subjects, clock, log },
      joined: () => this.#roster.nodes.filter((agent) => this.#roster.stateOf(agent) === 'joined'),
      send: (body) => this.#record.send(body),
    });
    this.#receive(bus, this.#deployment);
    await channel.watchDisconnects((name, reason) => this.#roster.disconnected(name, reason));
    signal.throwIfAborted();
    this.#leaseTimer = setInterval(() => this.#sendLease(), this.#options.supervision.heartbeatMs);
    this.#sendLease();
    const earlier = this.#replacements.without;
    await this.#agents.joined(() => this.#replacements.giveUpLost(), signal);
    const { without } = this.#replacements;
    const plan = await this.#planning.make();
    const lost = without.filter((node) => !earlier.includes(node));
    this.#adopt(plan, this.#deployment, [...lost, ...this.#roster.newcomers]);
    // Silence counts from now on: while all agents load, whoever came first may be late with a heartbeat.
    this.#roster.watch(() => bus.status.connected);
    return without.length === 0 ? 'every agent has joined' : `goes on without ${without.join(', ')}`;
  }

  /** What the point that was running has on its nodes stays, unless an agent there is `gone` with its processes. */
  #adopt(plan: SweepPlan, deployment: Deployment, [gone]: readonly string[]): void {
    const { running } = this.#previousRun;
    const point = running && plan.point(running.ordinal);
    if (!point) return;
    if (gone !== undefined) this.#previousRun.lostAgent(gone);
    const { processes } = ofAttempt(point, running.attempt);
    deployment.adopt(processes.filter((spec) => this.#previousRun.isHeld(spec)));
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
      onHello: (hello) => {
        this.#planning.found(hello);
        this.#clocks?.measure(hello.node);
      },
      onLease: (epoch) => this.#options.epochLock.heard(epoch),
      onObeyed: (epoch) => this.#options.epochLock.agentObeys(epoch),
      onCancel: (by) => {
        log.warn({ by }, 'cancel');
        this.interrupt(`cancelled by ${by}`, 143);
      },
    });
  }

  #onEvent(event: SrtEvent): void {
    if (event.kind === 'clock.offset') this.#clockOffsets.set(event.of, event);
    if (event.kind !== 'process.transition') return;
    const { process: id, to, pid, generation, why, exitCode, signal } = event;
    this.#deployment?.learn([{ id, state: to, pid, generation, why, exitCode, signal }], event.node);
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
    this.#clocks?.close();
    this.#roster.close();
    const deadlineMs = this.#busIsGone ? 0 : 3_000;
    await this.#record.close(deadlineMs);
    await this.#channel?.disconnect();
    await this.#options.nats.stop();
    // A file system that has become read-only is no failure of a run that is over; the next command removes the keys.
    for (const remove of [() => removeCredentials(this.#options.spec), () => this.#alive.remove()])
      await remove().catch((error: unknown) =>
        this.#options.log.error({ error: String(error) }, 'a file of the job cannot be removed'),
      );
    await this.#options.platform.release();
  }

  #sendLease(): void {
    const { epoch, epochLock } = this.#options;
    epochLock.check();
    epochLock.touch();
    this.#alive.tick();
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
    if (this.#ending || this.#stopping.signal.aborted) return;
    const why = this.#timeBudget.isOver(this.#options.clock.now());
    if (why !== null) this.interrupt(why, EXIT.outOfTime);
  }
}
