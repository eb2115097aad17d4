import type { Logger } from 'pino';
import type { PointMoved } from '../../machines/addresses.ts';
import type { Bus } from '../../messages/bus/bus.ts';
import { type EventBody, WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { JobState, StateChange } from '../../messages/job-directory/job-files.ts';
import {
  type BenchmarkProgress,
  hasNoFigures,
  type PointResult,
} from '../../messages/job-directory/result.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import { sweepProgress } from '../record/progress.ts';
import type { ResultsFile } from '../record/results-file.ts';

export interface PointsOptions {
  readonly record: {
    readonly state: Pick<JobState, 'points'>;
    save(change: Pick<StateChange, 'points' | 'progress'>): void;
    /** Resolves when all that was saved is on disk. */
    saved(): Promise<void>;
    send(body: EventBody): void;
    defect(what: string, error: unknown): void;
  };
  readonly results: Pick<ResultsFile, 'begin' | 'append'>;
  /** Counters that the next message repeats. */
  readonly bus: Pick<Bus, 'publish'>;
  readonly subjects: Subjects;
  readonly clock: Pick<SteadyClock, 'date'>;
  readonly log: Pick<Logger, 'info'>;
}

/** The points of the job in state.json, in results.jsonl and in the events. */
export class Points {
  readonly #options: PointsOptions;
  /** Points that are over. */
  #ended: number;
  /** How long the points of the previous run took, ms, and when the first point of this run began. */
  readonly #tookMs: number;
  #beganAt = Number.NaN;
  /** Index of each point in the state's list. */
  readonly #at: ReadonlyMap<number, number>;

  constructor(options: PointsOptions) {
    this.#options = options;
    const { points } = options.record.state;
    this.#at = new Map(points.map(({ ordinal }, index) => [ordinal, index]));
    const over = points.flatMap(({ status, tookMs }) =>
      status === null || tookMs === undefined ? [] : [tookMs],
    );
    this.#ended = over.length;
    this.#tookMs = over.reduce((sum, ms) => sum + ms, 0);
  }

  /**
   * Begins results.jsonl with the results that exist already. With `announce` their points are published as if they had
   * just ended, because the job's own events do not contain them.
   */
  async begin(there: readonly PointResult[], { announce }: { announce: boolean }): Promise<void> {
    const { results, record } = this.#options;
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
      record.send({ kind: 'point.transition', ...news });
      record.send({ kind: 'point.result', ordinal, result });
    }
  }

  /** The number of the next attempt, from 1. Attempts of the previous run count; `goesOn`: its last attempt goes on. */
  attemptOf(ordinal: number, { goesOn }: { readonly goesOn: boolean }): number {
    const entry = this.#entryOf(ordinal);
    const begun = entry?.attempts ?? (!entry || entry.state === 'planned' ? 0 : 1);
    return goesOn ? Math.max(begun, 1) : begun + 1;
  }

  /** A point begins that has run for `ranMs` under the previous coordinator. */
  begins(ranMs: number): void {
    if (Number.isNaN(this.#beganAt)) this.#beganAt = performance.now() - ranMs;
  }

  moved({ ordinal, name, attempt, from, to, why, cause }: PointMoved): void {
    const { record, log } = this.#options;
    const event = { kind: 'point.transition', ordinal, name, from, to, why, cause } as const;
    record.send(event);
    // `status` is set when the point's result is on disk.
    this.#note(ordinal, { state: to, status: null, ...(attempt > 1 ? { attempts: attempt } : {}) });
    log.info({ ordinal, from, to, why, cause: cause?.summary }, 'point');
  }

  progress(ordinal: number, progress: BenchmarkProgress): void {
    const { clock, bus, subjects } = this.#options;
    const at = clock.date().toISOString();
    bus.publish(subjects.pointProgress(ordinal), { v: WIRE_VERSION, at, ordinal, progress });
  }

  /** An attempt's result is on disk. */
  ended(result: PointResult): void {
    const { record, bus, subjects } = this.#options;
    record.send({ kind: 'point.result', ordinal: result.ordinal, result });
    bus.publish(subjects.telemetryPack, { v: WIRE_VERSION });
  }

  /** Another attempt follows. */
  async reopen({ ordinal, attempt }: PointResult): Promise<void> {
    this.#note(ordinal, { state: 'planned', status: null, attempts: attempt });
    await this.#options.record.saved();
  }

  /** No further attempt follows. */
  async keep(result: PointResult): Promise<void> {
    const { record, results } = this.#options;
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
      record.saved(),
      written.catch((error) => record.defect('results.jsonl cannot be written', error)),
    ]);
  }

  #entryOf(ordinal: number): JobState['points'][number] | undefined {
    return this.#options.record.state.points[this.#at.get(ordinal) ?? -1];
  }

  #note(ordinal: number, change: Partial<JobState['points'][number]>): void {
    const entry = this.#entryOf(ordinal);
    if (entry) this.#options.record.save({ points: [{ ...entry, ...change }] });
  }

  /** A point is over. For a sweep, publishes how far it is. */
  #tellProgress(): void {
    const { clock, record } = this.#options;
    const { points } = record.state;
    this.#ended++;
    if (points.length < 2) return;
    const elapsedMs = this.#tookMs + performance.now() - this.#beganAt;
    const progress = sweepProgress(points, { ended: this.#ended, elapsedMs, now: clock.date() });
    record.save({ progress });
    record.send({ kind: 'sweep.progress', ...progress });
  }
}
