import type { JobState } from '../../messages/job-directory/job-files.ts';
import { type Cause, doneEntry, type PointResult } from '../../messages/job-directory/result.ts';
import type { FoundRun } from './find-run.ts';
import type { InterruptedPoint } from './remaining-work.ts';

/** state.json may be behind the coordinator that wrote it by this many generations. */
const GENERATIONS_UNSAVED = 1_000;

/** The data that this run takes from the previous one; for a job without a previous run, the initial values. */
export class PreviousRun {
  readonly #found: FoundRun | null;
  readonly #results: readonly PointResult[];
  /** Agents that the previous coordinator had started and that still run. */
  readonly #adopted = new Set<string>();
  #lostMeanwhile: Cause | null = null;
  #wentOn = false;

  /** `results`: all that are in the job's directory. */
  constructor(found: FoundRun | null, results: readonly PointResult[]) {
    this.#found = found;
    this.#results = results;
  }

  /** true when this coordinator has taken over. */
  get isThere(): boolean {
    return this.#found !== null;
  }

  /** Results of the points that are over; for a job that starts, the valid ones of the job that it resumes. */
  get results(): PointResult[] {
    const last = this.#found?.state;
    if (!last) return this.#results.filter(({ status }) => status === 'done');
    const over = new Set(last.points.filter(({ status }) => status !== null).map(({ ordinal }) => ordinal));
    return this.#results.filter(({ ordinal }) => over.has(ordinal));
  }

  /** The state of the run before its first point. */
  get standing() {
    const { results } = this;
    return {
      done: results.filter(({ status }) => status === 'done').length,
      failed: results.filter(({ status }) => status === 'failed').length,
      cause: this.#found?.state.cause ?? null,
    };
  }

  /** ms from start to end of each point with a valid result. */
  get durations(): readonly number[] {
    return this.#found?.remaining.durations ?? [];
  }

  /** The first message of the stream that may be missing in events.jsonl. A new nats-server has a new stream. */
  get eventsFrom(): number {
    return this.#found?.handover ? this.#found.state.streamSeq + 1 : 1;
  }

  /** What state.json begins with under this coordinator. */
  stateOf(points: readonly { readonly ordinal: number; readonly name: string }[]) {
    const last = this.#found?.state;
    const done = new Map(this.results.map((result) => [result.ordinal, doneEntry(result)]));
    return {
      generation: last ? last.generation + GENERATIONS_UNSAVED : 0,
      streamSeq: this.eventsFrom - 1,
      points:
        last?.points ??
        points.map(({ ordinal, name }) => ({
          ...{ ordinal, name },
          ...(done.get(ordinal) ?? { state: 'planned' as const, status: null }),
        })),
      cause: last?.cause ?? null,
      ...(last?.hostSetup === undefined ? {} : { hostSetup: last.hostSetup }),
    } satisfies Partial<JobState>;
  }

  /** The points that this run has to run; the point that was running comes first. */
  left(ordinals: readonly number[]): number[] {
    const remaining = this.#found?.remaining;
    if (!remaining) {
      const done = new Set(this.results.map(({ ordinal }) => ordinal));
      return ordinals.filter((ordinal) => !done.has(ordinal));
    }
    const open = new Set(remaining.left);
    const left = ordinals.filter((ordinal) => open.has(ordinal));
    const first = remaining.running?.ordinal;
    return first === undefined ? left : [first, ...left.filter((ordinal) => ordinal !== first)];
  }

  /** A run that was being stopped keeps the exit code that it was stopped with. */
  exitCodeOf(exitCode: number): number {
    return this.#found?.remaining.exitCode ?? exitCode;
  }

  get launched() {
    return this.#found?.handover?.launched ?? [];
  }

  /** Nodes that the previous run had given up. */
  get without(): readonly string[] {
    return this.#found?.handover?.without ?? [];
  }

  /** These agents still run, and will say hello again. */
  expect(agents: readonly string[]): void {
    for (const name of agents) this.#adopted.add(name);
  }

  get expected(): readonly string[] {
    return [...this.#adopted];
  }

  /** true when the agent was expected until now. */
  giveUp(agent: string): boolean {
    return this.#adopted.delete(agent);
  }

  addresses(now: ReadonlyMap<string, string>): Map<string, string> {
    return new Map([...Object.entries(this.#found?.handover?.addresses ?? {}), ...now]);
  }

  /** The point that was running, until it goes on under this coordinator. */
  get running(): InterruptedPoint | null {
    return this.#wentOn ? null : (this.#found?.remaining.running ?? null);
  }

  /**
   * Records that an agent was lost with its processes while no coordinator was there, so the running point has failed.
   */
  lostAgent(node: string): void {
    this.#lostMeanwhile = { summary: `the agent of ${node} was lost while the coordinator was away`, node };
  }

  /** The restarts of workers. Those that wait go on with the point. */
  get restarts() {
    const remaining = this.#found?.remaining;
    const { running = null } = remaining ?? {};
    return { found: remaining?.restarts ?? [], goesOn: running !== null && running.cause === null };
  }

  get kills() {
    return this.#found?.remaining.kills ?? [];
  }

  /** true for the point that was running, until it has gone on. */
  isRunning(ordinal: number): boolean {
    return this.running?.ordinal === ordinal;
  }

  /** The state of the point when its coordinator was killed. Answered once, because the point goes on once. */
  goOn(ordinal: number): InterruptedPoint | null {
    const { running } = this;
    if (running?.ordinal !== ordinal) return null;
    this.#wentOn = true;
    return { ...running, cause: running.cause ?? this.#lostMeanwhile };
  }

  /** true when the point's only failure is an agent that was lost while no coordinator was there. */
  hasFailedMeanwhile(point: InterruptedPoint | null): boolean {
    return this.#lostMeanwhile !== null && point?.cause === this.#lostMeanwhile;
  }
}
