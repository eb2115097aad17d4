import type { Logger } from 'pino';
import { afterFailure, type FailurePolicy } from '../../machines/failure-policy.ts';
import type { PointEvent, PointOutcome } from '../../machines/point.ts';
import { type EventBody, type SrtEvent, WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { JobState, StateChange } from '../../messages/job-directory/job-files.ts';
import {
  type BenchmarkProgress,
  type Cause,
  hasNoFigures,
  type PointResult,
} from '../../messages/job-directory/result.ts';
import type { PointState } from '../../messages/spec/states.ts';
import type { PlannedPoint } from '../../model/kinds.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { explain } from '../../why/explain.ts';
import { readSignatures } from '../../why/signatures.ts';
import { sweepProgress } from '../record/progress.ts';
import { recentEvents } from '../record/recent-events.ts';
import type { ResultsFile } from '../record/results-file.ts';
import type { InterruptedPoint } from '../takeover/remaining-work.ts';
import { ofAttempt } from './attempt.ts';
import type { Deployment } from './deployment.ts';
import { type PointRun, startPoint } from './point-run.ts';

export interface PointsOptions {
  readonly jobId: string;
  readonly clock: SteadyClock;
  readonly subjects: Subjects;
  readonly eventsFile: string;
  /** Of all agents, also those that were told long ago. */
  readonly clockOffsets: () => readonly SrtEvent[];
  /** Resolves when all that has happened is in the file. */
  readonly eventsWritten: () => Promise<void>;
  readonly results: ResultsFile;
  readonly policy: FailurePolicy;
  /** The catalogue of known failures. */
  readonly signatures: string;
  readonly pointDir: (ordinal: number, name: string) => string;
  readonly points: () => JobState['points'];
  readonly save: (change: Pick<StateChange, 'points' | 'progress'>) => void;
  /** Resolves when all that was saved is on disk. */
  readonly saved: () => Promise<void>;
  /** How long a point may take; null = as long as it wants. */
  readonly timeLimitMs: number | null;
  /** Whether a point that has failed just now is tried again, whatever `policy` says. */
  readonly triesAgain: () => boolean;
  /** Kept events, and what the next message says again. */
  readonly send: (body: EventBody) => void;
  readonly publish: (subject: string, message: unknown) => void;
  /** What a recipe asks for and srtctl does not do. */
  readonly notDone: (recipe: Recipe) => readonly string[];
  readonly cleanup: () => Promise<void>;
  /** Asked before anything of a point is written. */
  readonly mayWrite: () => void;
  readonly log: Logger;
  readonly onDefect: (what: string, error: unknown) => void;
}

/** Runs the points of the job, one at a time, and tells of them. */
export class Points {
  readonly #options: PointsOptions;
  #current: PointRun | undefined;
  /** Causes of the failed attempts of the current point. */
  #failures: Cause[] = [];
  /** Points that are over; how long those took that an earlier coordinator ran, and since when this one's run. */
  #ended: number;
  readonly #tookMs: number;
  #beganAt = Number.NaN;
  /** Of the last attempt, while another is to follow. */
  #open: PointResult | undefined;
  /** Where each point is in the state's list. */
  readonly #at: ReadonlyMap<number, number>;

  constructor(options: PointsOptions) {
    this.#options = options;
    const points = options.points();
    this.#at = new Map(points.map(({ ordinal }, index) => [ordinal, index]));
    // Those that ran under an earlier coordinator.
    const over = points.flatMap(({ status, tookMs }) =>
      status === null || tookMs === undefined ? [] : [tookMs],
    );
    this.#ended = over.length;
    this.#tookMs = over.reduce((sum, ms) => sum + ms, 0);
  }

  /** To the point that runs, if one does. */
  send(event: PointEvent): void {
    this.#current?.send(event);
  }

  /**
   * Begins with the results that there are already. Told of (`announce`) as if their points had just ended, where the
   * job's own events do not have them.
   */
  async begin(there: readonly PointResult[], { announce }: { announce: boolean }): Promise<void> {
    const { results, send } = this.#options;
    await results.begin(there);
    for (const result of announce ? there : []) {
      const { ordinal, name, job } = result;
      const news = {
        ordinal,
        name,
        from: null,
        to: 'done',
        why: `has a result, of job ${job}`,
        cause: null,
      } as const;
      send({ kind: 'point.transition', ...news });
      send({ kind: 'point.result', ordinal, result });
    }
  }

  /** `isFirst`: no attempt before this one counts for the policy. `before`: the point has run, and goes on. */
  async run(
    point: PlannedPoint,
    { isFirst, before }: { readonly isFirst: boolean; readonly before: InterruptedPoint | null },
    deployment: Deployment,
  ): Promise<PointOutcome> {
    const { jobId, clock, pointDir, notDone, cleanup, mayWrite, onDefect } = this.#options;
    const { ordinal, name } = point;
    const limit = this.#limit(before);
    const attempt = this.#attemptOf(ordinal, before !== null);
    if (isFirst) this.#failures = [];
    this.#open = undefined;
    if (Number.isNaN(this.#beganAt)) this.#beganAt = performance.now() - this.#ranMs(before);
    const run = startPoint({
      jobId,
      clock,
      point: ofAttempt(point, attempt),
      attempt,
      before,
      pointDir: pointDir(ordinal, name),
      deployment,
      notDone,
      cleanup,
      explain: async (told, whole) => (told === limit.cause ? told : this.#explain(ordinal, whole)),
      onTransition: (from, to, why, cause) => this.#onTransition(point, attempt, from, to, why, cause),
      onProgress: (progress) => this.#onProgress(ordinal, progress),
      onResult: (result) => this.#onResult(result),
      mayWrite,
      onDefect,
    });
    this.#current = run;
    limit.begin(run);
    try {
      return await run.outcome;
    } finally {
      limit.end();
      this.#current = undefined;
    }
  }

  #entryOf(ordinal: number): JobState['points'][number] | undefined {
    return this.#options.points()[this.#at.get(ordinal) ?? -1];
  }

  /** From 1. What an earlier coordinator had begun counts, too. */
  #attemptOf(ordinal: number, goesOn: boolean): number {
    const entry = this.#entryOf(ordinal);
    const begun = entry?.attempts ?? (!entry || entry.state === 'planned' ? 0 : 1);
    return goesOn ? Math.max(begun, 1) : begun + 1;
  }

  /** How long it has run under an earlier coordinator. */
  #ranMs(before: InterruptedPoint | null): number {
    const startedAt = before?.startedAt;
    return startedAt ? Math.max(this.#options.clock.now() - startedAt.getTime(), 0) : 0;
  }

  /** `sweep.point_time_limit`: breaks a point that takes longer. */
  #limit(before: InterruptedPoint | null) {
    const ms = this.#options.timeLimitMs;
    const cause: Cause = {
      summary: `the point took longer than its time limit of ${(ms ?? 0) / 1_000} s (sweep.point_time_limit)`,
    };
    let timer: NodeJS.Timeout | undefined;
    const begin = (run: PointRun): void => {
      if (ms === null) return;
      // Node fires a timer of 2^31 ms or more at once.
      timer = setTimeout(
        () => run.send({ type: 'point.broken', cause }),
        Math.min(Math.max(ms - this.#ranMs(before), 0), 2 ** 31 - 1),
      );
    };
    return { cause, begin, end: () => clearTimeout(timer) };
  }

  #onTransition(
    { ordinal, name }: PlannedPoint,
    attempt: number,
    from: PointState | null,
    to: PointState,
    why: string,
    cause: Cause | null,
  ): void {
    const { send, log } = this.#options;
    send({
      kind: 'point.transition',
      ordinal,
      name,
      from,
      to,
      why,
      cause,
    });
    // It is over when its result is on disk.
    this.#note(ordinal, { state: to, status: null, ...(attempt > 1 ? { attempts: attempt } : {}) });
    log.info({ ordinal, from, to, why, cause: cause?.summary }, 'point');
  }

  async #onResult(result: PointResult): Promise<void> {
    const { send, saved, policy } = this.#options;
    const { ordinal, status, cause, attempt } = result;
    send({ kind: 'point.result', ordinal, result });
    const forLost = status === 'failed' && this.#options.triesAgain();
    if (status === 'failed' && cause && !forLost) this.#failures.push(cause);
    const isRetried =
      status === 'failed' && cause !== null && afterFailure(policy, this.#failures) === 'retry';
    const again = forLost || isRetried;
    this.#options.mayWrite();
    if (!again) return this.#keep(result);
    // What is tried again is open, also for a coordinator that takes over meanwhile.
    this.#open = result;
    this.#note(ordinal, { state: 'planned', status: null, attempts: attempt });
    await saved();
  }

  /** No further attempt comes, though one was to follow: the run ends before. The last one's result is the point's. */
  async end(): Promise<void> {
    const result = this.#open;
    this.#open = undefined;
    if (result) await this.#keep(result);
  }

  async #keep(result: PointResult): Promise<void> {
    const { saved, results, onDefect } = this.#options;
    const { ordinal, status } = result;
    const tookMs = Date.parse(result.finishedAt) - Date.parse(result.startedAt);
    const figures = {
      ...(hasNoFigures(result) ? { noFigures: true } : {}),
      ...(result.benchmark?.partial ? { partialFigures: result.benchmark.serving.length } : {}),
    };
    this.#note(ordinal, { state: status, status, tookMs, ...figures });
    if (status !== 'interrupted') this.#tellProgress();
    const written = results.append(result);
    await Promise.all([
      saved(),
      written.catch((error) => onDefect('results.jsonl cannot be written', error)),
    ]);
  }

  #note(ordinal: number, change: Partial<JobState['points'][number]>): void {
    const entry = this.#entryOf(ordinal);
    if (entry) this.#options.save({ points: [{ ...entry, ...change }] });
  }

  /** A point is over; of a sweep it is told how far it is. */
  #tellProgress(): void {
    const { clock, points, save, send } = this.#options;
    this.#ended++;
    if (points().length < 2) return;
    const elapsedMs = this.#tookMs + performance.now() - this.#beganAt;
    const progress = sweepProgress(points(), { ended: this.#ended, elapsedMs, now: clock.date() });
    save({ progress });
    send({ kind: 'sweep.progress', ...progress });
  }

  #onProgress(ordinal: number, progress: BenchmarkProgress): void {
    const { clock, publish, subjects } = this.#options;
    const at = clock.date().toISOString();
    publish(subjects.pointProgress(ordinal), { v: WIRE_VERSION, at, ordinal, progress });
  }

  async #explain(ordinal: number, told: Cause): Promise<Cause> {
    const { eventsFile, eventsWritten, clockOffsets, signatures, onDefect } = this.#options;
    try {
      await eventsWritten();
      const known = readSignatures(signatures);
      return await explain(
        [...clockOffsets(), ...(await recentEvents(eventsFile))],
        ordinal,
        told,
        known,
        eventsFile,
      );
    } catch (error) {
      onDefect('the cause could not be looked into', error);
      return told;
    }
  }
}
