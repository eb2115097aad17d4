import type { JobState } from '../../messages/job-directory/job-files.ts';
import { type Cause, doneEntry, type PointResult } from '../../messages/job-directory/result.ts';
import type { SweepPlan } from '../../model/kinds.ts';
import type { Before } from '../takeover/previous-run.ts';
import type { InterruptedPoint } from '../takeover/resumption.ts';
import { ofAttempt } from './attempt.ts';
import type { Deployment } from './deployment.ts';

/** state.json may be behind the coordinator that wrote it by this many generations. */
const GENERATIONS_UNSAVED = 1_000;

/** How a job goes on under a coordinator that took over; for a job that starts, how it starts. */
export class Continuation {
  readonly #before: Before | null;
  readonly #results: readonly PointResult[];
  /** Agents that the earlier coordinator had started, as far as they run. */
  readonly #adopted = new Set<string>();
  /** Processes that its agents hold. */
  readonly #held = new Set<string>();
  #goneMeanwhile: Cause | null = null;
  #wentOn = false;

  /** `results`: all that are in the job's directory. */
  constructor(before: Before | null, results: readonly PointResult[]) {
    this.#before = before;
    this.#results = results;
  }

  /** Those of points that are over: of a job that starts, the valid ones of the job that it goes on with. */
  get results(): PointResult[] {
    const last = this.#before?.state;
    if (!last) return this.#results.filter(({ status }) => status === 'done');
    const over = new Set(last.points.filter(({ status }) => status !== null).map(({ ordinal }) => ordinal));
    return this.#results.filter(({ ordinal }) => over.has(ordinal));
  }

  /** How the run stands before its first point. */
  get standing() {
    const { results } = this;
    return {
      done: results.filter(({ status }) => status === 'done').length,
      failed: results.filter(({ status }) => status === 'failed').length,
      cause: this.#before?.state.cause ?? null,
    };
  }

  /** The first message of the stream that may not be in events.jsonl. A new nats-server has a new stream. */
  get eventsFrom(): number {
    return this.#before?.lifeline ? this.#before.state.streamSeq + 1 : 1;
  }

  /** What of the job's state stays. */
  stateOf(points: readonly { readonly ordinal: number; readonly name: string }[]) {
    const last = this.#before?.state;
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
    } satisfies Partial<JobState>;
  }

  /** Of all points those that are to run, first one that was running. */
  left(ordinals: readonly number[]): number[] {
    const resumption = this.#before?.resumption;
    if (!resumption) {
      const done = new Set(this.results.map(({ ordinal }) => ordinal));
      return ordinals.filter((ordinal) => !done.has(ordinal));
    }
    const open = new Set(resumption.left);
    const left = ordinals.filter((ordinal) => open.has(ordinal));
    const first = resumption.running?.ordinal;
    return first === undefined ? left : [first, ...left.filter((ordinal) => ordinal !== first)];
  }

  /** A run that was being stopped ends as it was to end. */
  exitCodeOf(exitCode: number): number {
    return this.#before?.resumption.exitCode ?? exitCode;
  }

  get launched() {
    return this.#before?.lifeline?.launched ?? [];
  }

  /** These run on, and will say hello again. */
  expect(agents: readonly string[]): void {
    for (const name of agents) this.#adopted.add(name);
  }

  get expected(): readonly string[] {
    return [...this.#adopted];
  }

  /** true when it was expected until now. */
  giveUp(agent: string): boolean {
    return this.#adopted.delete(agent);
  }

  /** An agent says what it runs, before anything was asked of it. */
  found(ids: readonly string[]): void {
    for (const id of ids) this.#held.add(id);
  }

  addresses(now: ReadonlyMap<string, string>): Map<string, string> {
    return new Map([...Object.entries(this.#before?.lifeline?.addresses ?? {}), ...now]);
  }

  /**
   * What the point that was running has on its nodes stays; unless an agent there is `gone`, with its processes: another
   * one is in its place, or another node.
   */
  adoptInto(
    deployment: Pick<Deployment, 'adopt'>,
    plan: Pick<SweepPlan, 'point'>,
    gone: readonly string[],
  ): void {
    const running = this.#before?.resumption.running;
    const point = running && plan.point(running.ordinal);
    if (!running || !point) return;
    const [node] = gone;
    if (node !== undefined)
      this.#goneMeanwhile = {
        summary: `the agent of ${node} was lost while the coordinator was away`,
        node,
      };
    const { processes } = ofAttempt(point, running.attempt);
    deployment.adopt(processes.filter(({ id }) => this.#held.has(id)));
  }

  /** true for the point that was running, until it has gone on. */
  isRunning(ordinal: number): boolean {
    return !this.#wentOn && this.#before?.resumption.running?.ordinal === ordinal;
  }

  /** How a point stood when its coordinator was killed; told once. */
  interrupted(ordinal: number): InterruptedPoint | null {
    const running = this.#before?.resumption.running;
    if (!running || !this.isRunning(ordinal)) return null;
    this.#wentOn = true;
    return { ...running, cause: running.cause ?? this.#goneMeanwhile };
  }

  /** true when all that the point has failed of is an agent that was lost while the coordinator was away. */
  hasFailedMeanwhile(point: InterruptedPoint | null): boolean {
    return this.#goneMeanwhile !== null && point?.cause === this.#goneMeanwhile;
  }
}
