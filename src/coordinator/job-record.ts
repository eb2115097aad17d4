import { hostname } from 'node:os';
import type { EventBody } from '../messages/events/events.ts';
import { jobPaths } from '../messages/job-directory/files.ts';
import type { JobState, StateChange } from '../messages/job-directory/job-files.ts';
import type { Cause } from '../messages/job-directory/result.ts';
import type { AgentState, SweepState } from '../messages/spec/states.ts';
import { sourceStack } from '../os/source-stack.ts';
import type { Channel } from './bus-server/coordinator-bus.ts';
import type { CoordinatorOptions } from './coordinator-options.ts';
import { StateFile } from './record/state-file.ts';
import type { PreviousRun } from './takeover/previous-run.ts';

/** What there is to read of the job while it runs: state.json, the kept events, the coordinator's own log. */
export class JobRecord {
  readonly #options: CoordinatorOptions;
  readonly #state: StateFile;
  #channel: Channel | undefined;
  /** Tells of the end: whoever hears it finds it in state.json, too. */
  #lastWord: () => void = () => undefined;

  constructor(options: CoordinatorOptions, previousRun: PreviousRun) {
    const { spec, epoch, home, points, epochLock } = options;
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

  /** Until then there is nobody to tell events to, and they are in the log alone. */
  tellOn(channel: Channel): void {
    this.#channel = channel;
  }

  send(body: EventBody): void {
    this.#channel?.outbox.send(body);
  }

  save(change: StateChange): void {
    this.#state.save({ ...change, streamSeq: this.#channel?.journal.streamSeq ?? this.state.streamSeq });
  }

  /** Resolves when all that was saved is on disk. */
  saved(): Promise<void> {
    return this.#state.saved();
  }

  /** The end is kept back until `close`. */
  sweep(
    from: SweepState | null,
    to: SweepState,
    why: string,
    exitCode: number | null,
    cause: Cause | null,
  ): void {
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

  /** Something about a node that does not change its agent's `state`, for everybody to see. */
  warning(node: string, state: AgentState, why: string): void {
    this.#options.log.warn({ node, why }, 'agent');
    const event = { kind: 'agent.transition', node, from: state, to: state, why } as const;
    this.send(event);
  }

  defect(what: string, error: unknown): void {
    this.#options.log.error({ error: error instanceof Error ? sourceStack(error) : error }, what);
  }

  /** Tells of the end, which is on disk by then, and resolves when all events are in their file. */
  async close(deadlineMs: number): Promise<void> {
    await this.saved();
    this.#lastWord();
    await this.#channel?.close(deadlineMs);
    this.save({});
    await this.saved();
  }
}
