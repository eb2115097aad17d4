import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { afterFailure, type FailurePolicy } from '../machines/failure-policy.ts';
import type { PointEvent, PointOutcome } from '../machines/point.ts';
import { type EventBody, parseEvents, WIRE_VERSION } from '../messages/events.ts';
import type { JobState } from '../messages/job-files.ts';
import type { BenchmarkProgress, Cause, PointResult } from '../messages/result.ts';
import type { PointState } from '../messages/states.ts';
import type { Subjects } from '../messages/subjects.ts';
import type { PlannedPoint } from '../plan/kinds.ts';
import { explain } from '../why/explain.ts';
import { readSignatures } from '../why/signatures.ts';
import type { Deployment } from './deployment.ts';
import { type PointRun, startPoint } from './point-run.ts';
import { sweepProgress } from './progress.ts';
import type { ResultsFile } from './results-file.ts';
import type { InterruptedPoint } from './resumption.ts';

export interface PointsOptions {
  readonly jobId: string;
  readonly subjects: Subjects;
  readonly eventsFile: string;
  readonly results: ResultsFile;
  readonly policy: FailurePolicy;
  /** The catalogue of known failures. */
  readonly signatures: string;
  readonly pointDir: (ordinal: number, name: string) => string;
  readonly points: () => JobState['points'];
  readonly save: (change: Pick<JobState, 'points' | 'progress'>) => void;
  /** Resolves when all that was saved is on disk. */
  readonly saved: () => Promise<void>;
  /** How long a point may take; null = as long as it wants. */
  readonly timeLimitMs: number | null;
  /** Whether a point that has failed just now is tried again, whatever `policy` says. */
  readonly triesAgain: () => boolean;
  /** Kept events, and what the next message says again. */
  readonly send: (subject: string, body: EventBody) => void;
  readonly publish: (subject: string, message: unknown) => void;
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
  /** Points that are over, and since when they run (monotonic ms). */
  #ended = 0;
  #beganAt = Number.NaN;

  constructor(options: PointsOptions) {
    this.#options = options;
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
    const { results, send, subjects } = this.#options;
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
      send(subjects.pointTransition(ordinal), { kind: 'point.transition', ...news });
      send(subjects.pointResult(ordinal), { kind: 'point.result', ordinal, result });
    }
  }

  /** `isFirst`: no attempt before this one counts for the policy. `before`: the point has run, and goes on. */
  async run(
    point: PlannedPoint,
    { isFirst, before }: { readonly isFirst: boolean; readonly before: InterruptedPoint | null },
    deployment: Deployment,
  ): Promise<PointOutcome> {
    const { jobId, pointDir, cleanup, mayWrite, onDefect } = this.#options;
    const { ordinal, name } = point;
    const limit = this.#limit();
    const attempt = this.#attemptOf(ordinal, before !== null);
    if (isFirst) this.#failures = [];
    if (Number.isNaN(this.#beganAt)) this.#beganAt = performance.now();
    const run = startPoint({
      jobId,
      point,
      attempt,
      before,
      pointDir: pointDir(ordinal, name),
      deployment,
      cleanup,
      explain: async (told) => (told === limit.cause ? told : this.#explain(ordinal, told)),
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

  /** From 1. What an earlier coordinator had begun counts, too. */
  #attemptOf(ordinal: number, goesOn: boolean): number {
    const entry = this.#options.points().find((each) => each.ordinal === ordinal);
    const begun = !entry || entry.state === 'planned' ? 0 : (entry.attempts ?? 1);
    return goesOn ? Math.max(begun, 1) : begun + 1;
  }

  /** `sweep.point_time_limit`: breaks a point that takes longer. */
  #limit() {
    const ms = this.#options.timeLimitMs;
    const cause: Cause = {
      summary: `the point took longer than its time limit of ${(ms ?? 0) / 1_000} s (sweep.point_time_limit)`,
    };
    let timer: NodeJS.Timeout | undefined;
    const begin = (run: PointRun): void => {
      if (ms === null) return;
      // Node fires a timer of 2^31 ms or more at once.
      timer = setTimeout(() => run.send({ type: 'point.broken', cause }), Math.min(ms, 2 ** 31 - 1));
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
    const { subjects, send, save, points, log } = this.#options;
    send(subjects.pointTransition(ordinal), {
      kind: 'point.transition',
      ordinal,
      name,
      from,
      to,
      why,
      cause,
    });
    const status = to === 'done' || to === 'failed' || to === 'interrupted' ? to : null;
    const attempts = attempt > 1 ? { attempts: attempt } : {};
    save({
      points: points().map((entry) =>
        entry.ordinal === ordinal ? { ...entry, state: to, status, ...attempts } : entry,
      ),
    });
    log.info({ ordinal, from, to, why, cause: cause?.summary }, 'point');
  }

  async #onResult(result: PointResult): Promise<void> {
    const { subjects, send, saved, results, policy, onDefect } = this.#options;
    const { ordinal, status, cause } = result;
    send(subjects.pointResult(ordinal), { kind: 'point.result', ordinal, result });
    const forLost = status === 'failed' && this.#options.triesAgain();
    if (status === 'failed' && cause && !forLost) this.#failures.push(cause);
    this.#tookMs(result);
    const again = forLost || (status === 'failed' && afterFailure(policy, this.#failures) === 'retry');
    if (!again && status !== 'interrupted') this.#tellProgress();
    this.#options.mayWrite();
    const written = again ? Promise.resolve() : results.append(result);
    await Promise.all([
      saved(),
      written.catch((error) => onDefect('results.jsonl cannot be written', error)),
    ]);
  }

  #tookMs({ ordinal, startedAt, finishedAt }: PointResult): void {
    const tookMs = Date.parse(finishedAt) - Date.parse(startedAt);
    const { points, save } = this.#options;
    save({ points: points().map((entry) => (entry.ordinal === ordinal ? { ...entry, tookMs } : entry)) });
  }

  /** A point is over; of a sweep it is told how far it is. */
  #tellProgress(): void {
    const { points, save, send, subjects } = this.#options;
    this.#ended++;
    if (points().length < 2) return;
    const elapsedMs = performance.now() - this.#beganAt;
    const progress = sweepProgress(points(), { ended: this.#ended, elapsedMs, now: new Date() });
    save({ points: points(), progress });
    send(subjects.sweepProgress, { kind: 'sweep.progress', ...progress });
  }

  #onProgress(ordinal: number, progress: BenchmarkProgress): void {
    const { publish, subjects } = this.#options;
    const at = new Date().toISOString();
    publish(subjects.pointProgress(ordinal), { v: WIRE_VERSION, at, ordinal, progress });
  }

  async #explain(ordinal: number, told: Cause): Promise<Cause> {
    const { eventsFile, signatures, onDefect } = this.#options;
    try {
      const text = await readFile(eventsFile, 'utf8');
      return await explain(parseEvents(text), ordinal, told, readSignatures(signatures));
    } catch (error) {
      onDefect('the cause could not be looked into', error);
      return told;
    }
  }
}
