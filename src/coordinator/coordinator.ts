import { Post } from '../machines/addresses.ts';
import { failurePolicy } from '../machines/failure-policy.ts';
import { subjectsOf } from '../messages/events/subjects.ts';
import { jobPaths } from '../messages/job-directory/files.ts';
import { timeLimitMs } from '../recipe/values/time-limit.ts';
import { AgentMessages } from './agents/agent-messages.ts';
import { Agents, agentsByNode } from './agents/agents.ts';
import { Clocks } from './agents/clocks.ts';
import { LeaseSender } from './agents/lease-sender.ts';
import { Replacements } from './agents/replacements.ts';
import { Roster } from './agents/roster.ts';
import { Boot } from './boot.ts';
import { CoordinatorBus } from './bus-server/coordinator-bus.ts';
import { readerOfMachine, removeCredentials } from './bus-server/credentials.ts';
import type { CoordinatorOptions } from './coordinator-options.ts';
import { ProcessCauses } from './fleet/cause.ts';
import { Fleet } from './fleet/fleet.ts';
import { AliveFile } from './record/alive-file.ts';
import { JobRecord } from './record/job-record.ts';
import { ResultsFile } from './record/results-file.ts';
import { finishTelemetry } from './record/telemetry-files.ts';
import { Cleaner } from './sweep/cleanup.ts';
import { Explainer } from './sweep/explainer.ts';
import { HostSetup } from './sweep/host-setup.ts';
import { Planning } from './sweep/planning.ts';
import { PointGate } from './sweep/point-gate.ts';
import { PointRuns } from './sweep/point-run.ts';
import { Points } from './sweep/points.ts';
import { SweepRun } from './sweep/sweep-run.ts';
import { TimeBudget } from './sweep/time-budget.ts';
import { PreviousRun } from './takeover/previous-run.ts';
import { restartsInput, WorkerRestarts } from './workers/worker-restarts.ts';

/** How long the last events may take to reach their file, ms. */
const LAST_EVENTS_MS = 3_000;

/** Owns the job. Makes the parts, each with the parts that it uses, and starts the sweep, which does the rest. */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #post = new Post();
  readonly #bus: CoordinatorBus;
  readonly #record: JobRecord;
  readonly #roster: Roster;
  readonly #clocks: Clocks;
  readonly #lease: LeaseSender;
  readonly #aliveFile: AliveFile;
  readonly #previousRun: PreviousRun;
  readonly #sweep: SweepRun;

  constructor(options: CoordinatorOptions) {
    const { spec, agents, epoch, found, results, sweep, endsAt, clock, supervision } = options;
    const post = this.#post;
    const subjects = subjectsOf(spec.jobId);
    const paths = jobPaths(spec.jobDir, spec.jobId);
    const previousRun = new PreviousRun(found, results);
    const bus = new CoordinatorBus({
      ...options,
      post,
      jobId: spec.jobId,
      eventsFile: paths.events,
      eventsFrom: previousRun.eventsFrom,
    });
    const record = new JobRecord({ ...options, previousRun, bus });
    const names = agents.map(({ name }) => name);
    const roster = new Roster(names, supervision, { record, post }, () => performance.now());
    const timeBudget = new TimeBudget(endsAt, clock.now(), previousRun.durations);
    const aliveFile = new AliveFile(spec.jobDir, epoch);
    const shared = { ...options, post, subjects, previousRun, bus, record, roster, timeBudget, aliveFile };

    const restarts = new WorkerRestarts({ ...shared, ...previousRun.restarts });
    const fleet = new Fleet({
      ...shared,
      restarts,
      generation: record.state.generation + 1,
      agentOf: agentsByNode(agents),
      causes: new ProcessCauses(shared),
    });
    const agentStarter = new Agents(shared);
    const replacements = new Replacements({
      ...shared,
      without: previousRun.without,
      launcher: agentStarter,
    });
    const planning = new Planning({ ...shared, replacements });
    const clocks = new Clocks(shared);
    const lease = new LeaseSender({ ...shared, fleet });
    const messages = new AgentMessages({ ...shared, fleet, planning, clocks });
    const points = new Points({ ...shared, results: new ResultsFile(paths.results) });
    const runs = new PointRuns({
      ...shared,
      killsBefore: previousRun.kills,
      ...{ fleet, points, replacements, restarts },
      jobId: spec.jobId,
      serveOnly: spec.serveOnly === true,
      powerReaderOf: options.agentExtras.telemetry && ((node: string) => readerOfMachine(spec, node)),
      explainer: new Explainer({ ...shared, eventsFile: paths.events }),
      timeLimitMs: timeLimitMs(sweep.point_time_limit ?? ''),
    });
    const hostSetup = new HostSetup({ ...shared, fleet });
    const boot = new Boot({
      ...{ options, previousRun, bus, record, roster, fleet, agents: agentStarter },
      ...{ replacements, planning, points, clocks, messages, lease, hostSetup },
    });
    this.#sweep = new SweepRun(
      {
        ...{ boot, fleet, points, record, post, hostSetup },
        gate: new PointGate({ ...shared, replacements, planning, runs }),
        cleaner: new Cleaner({ ...shared, fleet }),
      },
      {
        ...previousRun.standing,
        ordinals: previousRun.left(options.points.map(({ ordinal }) => ordinal)),
        policy: failurePolicy(sweep.on_failure),
        restarts: restartsInput(previousRun.restarts.found, {
          goesOn: previousRun.restarts.goesOn,
          now: clock.now(),
        }),
      },
    );
    this.#options = options;
    this.#previousRun = previousRun;
    this.#bus = bus;
    this.#record = record;
    this.#roster = roster;
    this.#clocks = clocks;
    this.#lease = lease;
    this.#aliveFile = aliveFile;
  }

  /** Writes this coordinator's address into state.json. Resolves when it is on disk. */
  async announce(): Promise<void> {
    this.#record.save({});
    await this.#record.saved();
  }

  /** Stops the job in good order; the run then ends with `exitCode`. */
  interrupt(why: string, exitCode: number): void {
    this.#post.tell('sweep', { type: 'sweep.interrupt', why, exitCode });
  }

  /** nats-server has ended again and again, so no agent can be reached. */
  busGone(why: string): void {
    this.#bus.gone(why);
  }

  /** Runs the job to its end and resolves with the exit code. No process of the job runs any more then. */
  async run(): Promise<number> {
    const exitCode = await this.#sweep.run();
    await this.#shutDown();
    return this.#previousRun.exitCodeOf(exitCode);
  }

  /** Writes the last events into the file, and then ends the bus. */
  async #shutDown(): Promise<void> {
    const { spec, nats, platform, log } = this.#options;
    this.#lease.close();
    this.#clocks.close();
    this.#roster.close();
    await this.#record.close(this.#bus.isGone ? 0 : LAST_EVENTS_MS);
    await this.#bus.disconnect();
    await nats.stop();
    await finishTelemetry(spec, log);
    // The run is over, so a file system that is now read-only does not fail it; the next command removes the keys.
    for (const removed of await Promise.allSettled([removeCredentials(spec), this.#aliveFile.remove()]))
      if (removed.status === 'rejected')
        log.error({ error: String(removed.reason) }, 'a file of the job cannot be removed');
    await platform.release();
  }
}
