import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { PointMoved, RecordEvent, SweepMoved } from '../../machines/addresses.ts';
import type { ClockOffset, EventBody } from '../../messages/events/events.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec, JobState, StateChange } from '../../messages/job-directory/job-files.ts';
import type { Epoch } from '../../messages/spec/counters.ts';
import type { AgentState } from '../../messages/spec/states.ts';
import { sourceStack } from '../../os/source-stack.ts';
import { StateFile } from './state-file.ts';

export interface JobRecordOptions {
  readonly spec: Pick<JobSpec, 'jobId' | 'jobDir' | 'name' | 'resultSet'>;
  readonly epoch: Epoch;
  /** The job's node-local directory. */
  readonly home: string;
  readonly points: readonly { readonly ordinal: number; readonly name: string }[];
  readonly epochLock: { check(): void };
  readonly previousRun: {
    stateOf(
      points: JobRecordOptions['points'],
    ): Pick<JobState, 'generation' | 'streamSeq' | 'points' | 'cause' | 'hostSetup'>;
    exitCodeOf(exitCode: number): number;
  };
  readonly bus: {
    /** The last message of the stream that is in events.jsonl. */
    readonly streamSeq: number | undefined;
    send(body: EventBody): void;
    close(deadlineMs: number): Promise<void>;
  };
  readonly log: Logger;
}

/** What a person can read of the job while it runs: state.json, the kept events, the coordinator's own log. */
export class JobRecord {
  readonly #options: JobRecordOptions;
  readonly #state: StateFile;
  /** By source, because a long job's recent events do not contain them any more. */
  readonly #clockOffsets = new Map<string, ClockOffset>();
  /** Publishes the end after state.json has been written, so that a reader of the event can rely on the file. */
  #lastWord: () => void = () => undefined;

  constructor(options: JobRecordOptions) {
    const { spec, epoch, home, points, epochLock, previousRun } = options;
    this.#options = options;
    const state: JobState = {
      v: 1,
      jobId: spec.jobId,
      name: spec.name,
      epoch,
      coordinatorPid: process.pid,
      home: { host: hostname(), directory: home },
      updatedAt: new Date().toISOString(),
      ...(spec.resultSet === undefined ? {} : { resultSet: spec.resultSet }),
      sweep: 'booting',
      exitCode: null,
      ...previousRun.stateOf(points),
    };
    this.#state = new StateFile(
      jobPaths(spec.jobDir, spec.jobId).state,
      state,
      (error) => this.defect('state.json cannot be written', error),
      () => epochLock.check(),
    );
  }

  get state(): JobState {
    return this.#state.current;
  }

  /** The clocks of all agents, as far as they have been measured. */
  get clockOffsets(): ClockOffset[] {
    return [...this.#clockOffsets.values()];
  }

  hear(event: Exclude<RecordEvent, PointMoved>): void {
    const { log } = this.#options;
    switch (event.type) {
      case 'sweep.moved':
        this.#sweepMoved(event);
        return;
      case 'sweep.interrupted':
        log.warn(event.why);
        return;
      case 'clock.measured':
        this.#clockOffsets.set(event.offset.of, event.offset);
        return;
      case 'event.unexpected':
        this.defect(`${event.actor}: unexpected event`, event.event);
    }
  }

  /** Before the bus is open no event can be published, so it is in the log alone. */
  send(body: EventBody): void {
    this.#options.bus.send(body);
  }

  save(change: StateChange): void {
    this.#state.save({ ...change, streamSeq: this.#options.bus.streamSeq ?? this.state.streamSeq });
  }

  /** Resolves when all that was saved is on disk. */
  saved(): Promise<void> {
    return this.#state.saved();
  }

  /** The run's first state, which the bus can take only when it is open. */
  booting(why: string): void {
    this.#sweep({ from: null, to: 'booting', why, exitCode: null, cause: this.state.cause });
  }

  #sweepMoved({ from, to, why, exitCode, cause }: SweepMoved): void {
    const code = exitCode === null ? null : this.#options.previousRun.exitCodeOf(exitCode);
    this.#sweep({ from, to, why, exitCode: code, cause });
  }

  #sweep(moved: Omit<SweepMoved, 'type' | 'from'> & { from: SweepMoved['from'] | null }): void {
    const { from, to, why, exitCode, cause } = moved;
    this.save({ sweep: to, exitCode, cause });
    this.#options.log.info({ from, to, why, exitCode, cause: cause?.summary }, 'sweep');
    const points = this.#options.points.length;
    const event = { kind: 'sweep.transition', from, to, why, points, exitCode, cause } as const;
    const tell = (): void => this.send(event);
    if (to === 'finished') this.#lastWord = tell;
    else tell();
  }

  agent(node: string, from: AgentState | null, to: AgentState, why: string): void {
    this.send({ kind: 'agent.transition', node, from, to, why });
    this.#options.log.info({ node, from, to, why }, 'agent');
  }

  /** Publishes an event about a node that does not change its agent's `state`. */
  warning(node: string, state: AgentState, why: string): void {
    this.#options.log.warn({ node, why }, 'agent');
    const event = { kind: 'agent.transition', node, from: state, to: state, why } as const;
    this.send(event);
  }

  /** Publishes what a person should know although the run goes on. */
  warn(text: string): void {
    this.#options.log.warn(text);
    this.send({ kind: 'job.warning', text });
  }

  defect(what: string, error: unknown): void {
    this.#options.log.error({ error: error instanceof Error ? sourceStack(error) : error }, what);
  }

  /** Publishes the end, which has been written to disk, and resolves when all events are in their file. */
  async close(deadlineMs: number): Promise<void> {
    await this.saved();
    this.#lastWord();
    await this.#options.bus.close(deadlineMs);
    this.save({});
    await this.saved();
  }
}
