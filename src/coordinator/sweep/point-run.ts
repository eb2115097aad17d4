import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { stringify } from 'yaml';
import { benchmarkFor } from '../../benchmarks/index.ts';
import { partialResult } from '../../benchmarks/partial-result.ts';
import type { PointInput, PointOutcome, PointWork } from '../../machines/point.ts';
import type { Attempt, EndedAttempt } from '../../machines/sweep-context.ts';
import { writeJson } from '../../messages/job-directory/files.ts';
import type {
  BenchmarkResult,
  CacheRecord,
  Cause,
  PointResult,
} from '../../messages/job-directory/result.ts';
import { type DeployPhase, deployPhases } from '../../messages/spec/process-spec.ts';
import type { PlannedPoint } from '../../model/kinds.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { holdsSecrets } from '../../recipe/values/secrets.ts';
import type { Replacements } from '../agents/replacements.ts';
import { prepareAttempt, syncPoint } from '../record/point-files.ts';
import type { EpochLock } from '../takeover/epoch-lock.ts';
import type { InterruptedPoint } from '../takeover/remaining-work.ts';
import { ofAttempt } from './attempt.ts';
import { ProgressReader } from './benchmark-progress.ts';
import type { Explainer } from './explainer.ts';
import { awaitedIn, type Fleet } from './fleet.ts';
import { flushCaches } from './flush-caches.ts';
import type { Points } from './points.ts';
import { silentWorkers } from './silent-workers.ts';
import type { TimeBudget } from './time-budget.ts';

/** How much later than the first failed request the end of the worker that failed it may be reported, ms. */
const CAUSE_MS = 3_000;
/** The phases that a point warms up with; the others belong to the deployment. */
const WARM: readonly DeployPhase[] = ['frontend', 'proxy'];
/** Node fires a longer timer at once. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/** What all points of the job use. */
export interface PointRunParts {
  readonly jobId: string;
  readonly clock: Pick<SteadyClock, 'now' | 'date'>;
  readonly fleet: Pick<Fleet, 'deploy' | 'isWanted' | 'completed' | 'losses' | 'sick' | 'withTail'>;
  readonly points: Pick<Points, 'attemptOf' | 'begins' | 'progress' | 'ended' | 'keep' | 'reopen'>;
  readonly explainer: Pick<Explainer, 'explain'>;
  readonly replacements: Pick<Replacements, 'canReplaceLost'>;
  readonly timeBudget: Pick<TimeBudget, 'took'>;
  readonly epochLock: Pick<EpochLock, 'check'>;
  readonly record: { defect(what: string, error: unknown): void };
  readonly log: Pick<Logger, 'warn'>;
  readonly pointDir: (ordinal: number, name: string) => string;
  /** A line for each recipe option that srtctl does not support. */
  readonly notDone: (recipe: Recipe) => readonly string[];
  /** `sweep.point_time_limit`; null: no limit. */
  readonly timeLimitMs: number | null;
}

/** The state of the point when the previous coordinator was killed. */
export interface Before {
  readonly point: InterruptedPoint | null;
  /** The point's only failure is an agent that was lost while no coordinator was there. */
  readonly lostAgent: boolean;
}

/** Begins attempts at points. */
export class PointRuns {
  readonly #parts: PointRunParts;

  constructor(parts: PointRunParts) {
    this.#parts = parts;
  }

  begin(planned: PlannedPoint, before: Before): Attempt {
    return new PointRun(this.#parts, planned, before);
  }
}

/** One attempt at a point: its effects and its files. The point machine decides when. */
export class PointRun implements Attempt, PointWork {
  readonly point: PointInput;
  readonly #parts: PointRunParts;
  readonly #planned: PlannedPoint;
  readonly #before: Before;
  readonly #attempt: number;
  readonly #dir: string;
  readonly #startedAt: Date;
  readonly #begunAt = performance.now();
  #benchmarkStartedAt: Date | null;
  #caches: CacheRecord[] | null = null;
  /** config.yaml; the point's end waits for it, its begin does not. */
  #config: Promise<void> = Promise.resolve();
  #result: PointResult | undefined;

  constructor(parts: PointRunParts, planned: PlannedPoint, before: Before) {
    const { clock, points, pointDir, timeLimitMs } = parts;
    const { ordinal, name } = planned;
    this.#parts = parts;
    this.#before = before;
    this.#attempt = points.attemptOf(ordinal, { goesOn: before.point !== null });
    this.#planned = ofAttempt(planned, this.#attempt);
    this.#dir = pointDir(ordinal, name);
    this.#startedAt = before.point?.startedAt ?? clock.date();
    this.#benchmarkStartedAt = before.point?.benchmarkStartedAt ?? null;
    const ranMs = before.point?.startedAt ? Math.max(clock.now() - before.point.startedAt.getTime(), 0) : 0;
    points.begins(ranMs);
    const used = deployPhases.filter(
      (phase) => phase !== 'benchmark' && planned.processes.some((spec) => awaitedIn(spec) === phase),
    );
    this.point = {
      ordinal,
      name,
      attempt: this.#attempt,
      deploy: used.filter((phase) => !WARM.includes(phase)),
      warm: used.filter((phase) => WARM.includes(phase)),
      work: this,
      endsWhenStopped: planned.benchmark.process === null,
      failedBefore: before.point?.cause ?? null,
      limit: timeLimitMs === null ? null : limitOf(timeLimitMs, ranMs),
    };
  }

  async prepare(): Promise<void> {
    const { epochLock } = this.#parts;
    const defect = (error: unknown) => this.#defect('files', error);
    epochLock.check();
    // A point that goes on keeps its directory as it is.
    await prepareAttempt(this.#dir, this.#before.point ? 1 : this.#attempt).catch(defect);
    this.#config = writeYaml(join(this.#dir, 'config.yaml'), this.#planned.recipe).catch(defect);
  }

  deploy(phase: DeployPhase, signal: AbortSignal): Promise<void> {
    return this.#parts.fleet.deploy(this.#planned.processes, phase, signal);
  }

  async flushCaches(signal: AbortSignal): Promise<void> {
    const { benchmark, rest } = this.#planned;
    // `manual` measures nothing, and a benchmark that already runs must not lose its engines' caches.
    if (!benchmark.process || this.#parts.fleet.isWanted(benchmark.process)) return;
    this.#caches = await flushCaches(rest, signal);
  }

  async benchmark(signal: AbortSignal): Promise<void> {
    const { clock, fleet, points } = this.#parts;
    this.#benchmarkStartedAt ??= clock.date();
    const { process } = this.#planned.benchmark;
    // `manual`: the deployment stays up until the user stops the job.
    if (!process) return aborted(signal);
    const progress = new ProgressReader(this.#dir, (news) => points.progress(this.#planned.ordinal, news));
    progress.begin();
    try {
      await fleet.deploy(this.#planned.processes, 'benchmark', signal);
      await fleet.completed(process.id, signal);
      await progress.read();
    } finally {
      progress.close();
    }
  }

  async collect(signal: AbortSignal): Promise<BenchmarkResult> {
    const { fleet } = this.#parts;
    const { benchmark, processes } = this.#planned;
    const protocol = benchmarkFor(benchmark.type);
    if (!protocol) throw new Error(`benchmark ${benchmark.type} cannot be read`);
    const lossy = (await fleet.losses()).length > 0;
    const result = await protocol.readResult(benchmark, { lossy });
    // A failed request ends the benchmark at once. When a process failed the request, the end of the process is the
    // better cause.
    const cut = result.serving.some(({ partial }) => partial);
    const [silent] = cut
      ? await Promise.all([silentWorkers(processes, signal), setTimeout(CAUSE_MS, undefined, { signal })])
      : [[]];
    const degraded = fleet.sick();
    // A worker that is known to be degraded is named once.
    const isNamed = (text: string): boolean =>
      degraded.some((known) => known.startsWith(`${text.split(' ')[0]} `));
    const sick = [...degraded, ...silent.filter((text) => !isNamed(text))];
    if (result.valid || sick.length === 0) return result;
    return { ...result, reason: [result.reason ?? 'the result is not valid', ...sick].join('; ') };
  }

  async write(first: PointOutcome): Promise<EndedAttempt> {
    const { points, replacements, timeBudget, epochLock, log } = this.#parts;
    const explained = await this.#explained(first);
    const result = await this.#resultOf(explained);
    let outcome = explained;
    try {
      await this.#config;
      epochLock.check();
      await writeJson(join(this.#dir, 'result.json'), result);
      await syncPoint(this.#dir);
      this.#result = result;
    } catch (error) {
      // Usually the disk is full. Figures that are not on disk are no result; other points are not affected.
      const text = `the result cannot be written: ${error instanceof Error ? error.message : error}`;
      this.#defect('result', error);
      outcome = { ...explained, status: 'failed', cause: explained.cause ?? { summary: text } };
      this.#result = { ...result, status: 'failed', cause: outcome.cause };
    }
    points.ended(this.#result);
    epochLock.check();
    if (outcome.status === 'done') timeBudget.took(performance.now() - this.#begunAt);
    const canReplaceLost = replacements.canReplaceLost({ lostBefore: this.#before.lostAgent });
    if (outcome.status === 'failed' && canReplaceLost)
      log.warn(
        { ordinal: this.point.ordinal, cause: outcome.cause?.summary },
        'the point lost a node, and a spare node can replace it',
      );
    return { outcome, canReplaceLost };
  }

  async keep(): Promise<void> {
    if (this.#result) await this.#parts.points.keep(this.#result);
  }

  async reopen(): Promise<void> {
    if (this.#result) await this.#parts.points.reopen(this.#result);
  }

  async #explained(outcome: PointOutcome): Promise<PointOutcome> {
    const { fleet, explainer } = this.#parts;
    const { status, cause } = outcome;
    // The time limit is its own explanation.
    if (status !== 'failed' || cause === null || cause === this.point.limit?.cause) return outcome;
    const whole = await fleet.withTail(cause);
    return { ...outcome, cause: await explainer.explain(this.#planned.ordinal, whole) };
  }

  async #resultOf({ status, cause, result }: PointOutcome): Promise<PointResult> {
    const { jobId, clock, fleet, notDone } = this.#parts;
    const { ordinal, name, params, benchmark, recipe } = this.#planned;
    const lost = await fleet.losses();
    const ignored = notDone(recipe);
    // Measured figures are kept, however the point ended.
    const kept = result ?? (this.#benchmarkStartedAt === null ? null : await partialResult(benchmark));
    return {
      v: 1,
      job: jobId,
      ordinal,
      name,
      params,
      attempt: this.#attempt,
      status,
      startedAt: this.#startedAt.toISOString(),
      benchmarkStartedAt: this.#benchmarkStartedAt?.toISOString() ?? null,
      finishedAt: clock.date().toISOString(),
      caches: this.#caches,
      benchmark: kept,
      cause,
      ...(ignored.length > 0 ? { notDone: [...ignored] } : {}),
      ...(lost.length > 0 ? { lost } : {}),
    };
  }

  #defect(what: string, error: unknown): void {
    this.#parts.record.defect(`${what} of point ${this.#planned.ordinal}`, error);
  }
}

/** `ranMs`: how long the point has run under the previous coordinator. */
function limitOf(limitMs: number, ranMs: number): { ms: number; cause: Cause } {
  const summary = `the point took longer than its time limit of ${limitMs / 1_000} s (sweep.point_time_limit)`;
  return { ms: Math.min(Math.max(limitMs - ranMs, 0), MOST_TIMER_MS), cause: { summary } };
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

const writeYaml = async (path: string, value: unknown): Promise<void> => {
  const { default: writeFileAtomic } = await import('write-file-atomic');
  await writeFileAtomic(path, stringify(value), { mode: holdsSecrets(value) ? 0o600 : 0o644 });
};
