import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { stringify } from 'yaml';
import { withAccuracy } from '../../benchmarks/accuracy/post-eval.ts';
import { benchmarkFor } from '../../benchmarks/index.ts';
import { partialResult } from '../../benchmarks/partial-result.ts';
import { CausedError, type PointInput, type PointOutcome, type PointWork } from '../../machines/point.ts';
import type { Attempt, EndedAttempt } from '../../machines/sweep-context.ts';
import { writeJson } from '../../messages/job-directory/files.ts';
import type {
  BenchmarkResult,
  CacheRecord,
  Cause,
  PointResult,
  WorkerRestart,
} from '../../messages/job-directory/result.ts';
import { type DeployPhase, deployPhases } from '../../messages/spec/deploy-phases.ts';
import type { PlannedPoint } from '../../model/kinds.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import { asResolved } from '../../recipe/layouts/layout.ts';
import { acceptsRestarts } from '../../recipe/schema/experiment.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { holdsSecrets } from '../../recipe/values/secrets.ts';
import type { Replacements } from '../agents/replacements.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { awaitedIn } from '../fleet/wanted.ts';
import { prepareAttempt, syncPoint } from '../record/point-files.ts';
import { withPower } from '../record/window-power.ts';
import type { EpochLock } from '../takeover/epoch-lock.ts';
import type { InterruptedPoint } from '../takeover/remaining-work.ts';
import { Kills, type KillsOptions } from '../workers/kills.ts';
import type { WorkerRestarts } from '../workers/worker-restarts.ts';
import { ofAttempt } from './attempt.ts';
import { ProgressReader } from './benchmark-progress.ts';
import type { Explainer } from './explainer.ts';
import { flushCaches } from './flush-caches.ts';
import { OutputMirror } from './output-mirror.ts';
import type { Points } from './points.ts';
import { silentWorkers } from './silent-workers.ts';
import type { TimeBudget } from './time-budget.ts';
import { disturbedBy, exitCodeOf, limitOf, withoutKills, worstOf } from './verdict.ts';

/** How much later than the first failed request the end of the worker that failed it may be reported, ms. */
const CAUSE_MS = 3_000;
/** The phases that a point warms up with; the others belong to the deployment. */
const WARM: readonly DeployPhase[] = ['frontend', 'proxy', 'after_frontend'];

/** What all points of the job use. */
export interface PointRunParts {
  readonly jobId: string;
  /** The run is a deployment that is up until it is stopped. */
  readonly serveOnly: boolean;
  readonly clock: Pick<SteadyClock, 'now' | 'date'>;
  readonly fleet: Pick<
    Fleet,
    'deploy' | 'isWanted' | 'completed' | 'ended' | 'losses' | 'sick' | 'withTail' | 'running'
  >;
  readonly restarts: Pick<WorkerRestarts, 'since'>;
  readonly points: Pick<Points, 'attemptOf' | 'begins' | 'progress' | 'ended' | 'keep' | 'reopen'>;
  readonly explainer: Pick<Explainer, 'explain'>;
  readonly replacements: Pick<Replacements, 'canReplaceLost'>;
  readonly timeBudget: Pick<TimeBudget, 'took'>;
  readonly epochLock: Pick<EpochLock, 'check'>;
  readonly record: { defect(what: string, error: unknown): void; send: KillsOptions['record']['send'] };
  readonly bus: KillsOptions['bus'];
  readonly subjects: KillsOptions['subjects'];
  /** The agent that samples the power of a node; undefined without telemetry. */
  readonly powerReaderOf?: ((node: string) => string) | undefined;
  /** Kills under the previous coordinator. */
  readonly killsBefore: KillsOptions['killsBefore'];
  readonly log: Pick<Logger, 'info' | 'warn'>;
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
  readonly #kills: Kills;
  /** The measured window, ms since 1970, as far as the benchmark says it. */
  #measuredSince: number | null = null;
  #measuredUntil: number | null = null;
  #caches: CacheRecord[] | null = null;
  /** config.yaml; the point's end waits for it, its begin does not. */
  #config: Promise<void> = Promise.resolve();
  /** Processes of services that are the run. */
  readonly #terminal: readonly string[];
  /** How the worst of them ended; it is the cause, whichever failed first. */
  #worst: Cause | undefined;
  #result: PointResult | undefined;

  constructor(parts: PointRunParts, planned: PlannedPoint, before: Before) {
    const { clock, points, pointDir, timeLimitMs } = parts;
    const { ordinal, name } = planned;
    this.#parts = parts;
    this.#before = before;
    this.#attempt = points.attemptOf(ordinal, { goesOn: before.point !== null });
    this.#planned = ofAttempt(planned, this.#attempt);
    this.#terminal = planned.services.flatMap((each) => (each.terminal ? each.processes : []));
    this.#dir = pointDir(ordinal, name);
    this.#startedAt = before.point?.startedAt ?? clock.date();
    this.#kills = new Kills({
      ...parts,
      ordinal,
      kills: planned.recipe.experiment?.kill ?? [],
      since: this.#startedAt,
    });
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
      endsWhenStopped: planned.benchmark.process === null && this.#terminal.length === 0,
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
    const { benchmark, entry } = this.#planned;
    const { serves } = benchmark;
    // Before the point runs, so that a reader of its state finds the files.
    if (entry) await writeJson(join(this.#dir, 'entry.json'), { v: 1, ...entry }).catch(defect);
    if (serves) await writeJson(join(this.#dir, 'serving.json'), { v: 1, ...serves }).catch(defect);
    this.#config = writeYaml(join(this.#dir, 'config.yaml'), asResolved(this.#planned.recipe)).catch(defect);
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
    if (this.#terminal.length > 0) {
      this.#worst = worstOf(await fleet.ended(this.#terminal, signal));
      if (this.#worst) throw new CausedError(this.#worst);
      return;
    }
    // `manual`: the deployment stays up until the user stops the job.
    if (!process) return aborted(signal);
    const progress = new ProgressReader(this.#dir, (news) => {
      if (this.#measuredSince === null && news.measuredSince !== undefined) {
        this.#measuredSince = news.measuredSince;
        this.#kills.begin(news.measuredSince, signal);
      }
      points.progress(this.#planned.ordinal, news);
    });
    const mirror = this.#planned.recipe.benchmark.stream_output
      ? new OutputMirror(process.logFile, (line) => this.#parts.log.info(line))
      : undefined;
    progress.begin();
    mirror?.begin();
    try {
      await fleet.deploy(this.#planned.processes, 'benchmark', signal);
      await fleet.completed(process.id, signal);
      for (const { id } of this.#planned.benchmark.others ?? []) await fleet.completed(id, signal);
      this.#measuredUntil = clock.now();
      this.#kills.end();
      await progress.read();
    } finally {
      progress.close();
      await mirror?.close();
    }
  }

  async collect(signal: AbortSignal): Promise<BenchmarkResult> {
    const { fleet, powerReaderOf: readerOf } = this.#parts;
    const { benchmark, processes, endpointProcesses } = this.#planned;
    const protocol = benchmarkFor(benchmark.type);
    if (!protocol) throw new Error(`benchmark ${benchmark.type} cannot be read`);
    // Requests do not go through services, so the loss of one excuses no failed request.
    const serving = new Set(
      processes.flatMap(({ id, role }) => (role === 'service' || role === 'base' ? [] : [id])),
    );
    const accepts = acceptsRestarts(this.#planned.recipe);
    const restarts = () => this.#restarts().filter(({ measured }) => measured);
    const lossy =
      (await fleet.losses()).some(({ process }) => process === undefined || serving.has(process)) ||
      (accepts && restarts().length > 0);
    const figures = await withAccuracy(await protocol.readResult(benchmark, { lossy }), benchmark);
    const read = readerOf
      ? await withPower({ ...this.#parts, readerOf }, endpointProcesses, figures)
      : figures;
    // A failed request ends the benchmark at once. When a process failed the request, the end of the process is the
    // better cause.
    const cut = read.serving.some(({ partial }) => partial);
    const [silent] = cut
      ? await Promise.all([silentWorkers(processes, signal), setTimeout(CAUSE_MS, undefined, { signal })])
      : [[]];
    const result = withoutKills(this.#kills.missing, accepts ? read : disturbedBy(restarts(), read));
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
    let outcome = { ...explained, ...this.#exitCodeOf(first) };
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
      outcome = { ...outcome, status: 'failed', cause: explained.cause ?? { summary: text } };
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
    if (cause === this.#worst) return { ...outcome, cause: whole };
    return { ...outcome, cause: await explainer.explain(this.#planned.ordinal, whole) };
  }

  async #resultOf({ status, cause, result }: PointOutcome): Promise<PointResult> {
    const { jobId, serveOnly, clock, fleet, notDone } = this.#parts;
    const { ordinal, name, params, benchmark, recipe } = this.#planned;
    const restarts = this.#restarts();
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
      ...(serveOnly && status === 'done' ? { outcome: 'served' as const } : {}),
      startedAt: this.#startedAt.toISOString(),
      benchmarkStartedAt: this.#benchmarkStartedAt?.toISOString() ?? null,
      finishedAt: clock.date().toISOString(),
      caches: this.#caches,
      benchmark: kept,
      cause,
      ...(ignored.length > 0 ? { notDone: [...ignored] } : {}),
      ...(lost.length > 0 ? { lost } : {}),
      ...(restarts.length > 0 ? { worker_restarts: restarts } : {}),
      ...(this.#kills.done.length > 0 ? { worker_kills: [...this.#kills.done] } : {}),
    };
  }

  /** The exit code of a service that is the run is that of the job. */
  #exitCodeOf({ status, cause }: PointOutcome): Pick<PointOutcome, 'exitCode'> {
    const isOfRun =
      status === 'failed' && cause?.process !== undefined && this.#terminal.includes(cause.process);
    return isOfRun ? { exitCode: exitCodeOf(cause) } : {};
  }

  /** The workers that started again in this attempt. */
  #restarts(): WorkerRestart[] {
    const since = this.#measuredSince ?? this.#benchmarkStartedAt?.getTime() ?? null;
    const until = this.#measuredUntil ?? Number.POSITIVE_INFINITY;
    return this.#parts.restarts.since(this.#startedAt).map((restart) => {
      const endedAt = Date.parse(restart.at);
      const backAt = restart.backAfterMs === null ? Number.POSITIVE_INFINITY : endedAt + restart.backAfterMs;
      return since !== null && endedAt < until && backAt > since ? { ...restart, measured: true } : restart;
    });
  }

  #defect(what: string, error: unknown): void {
    this.#parts.record.defect(`${what} of point ${this.#planned.ordinal}`, error);
  }
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

const writeYaml = async (path: string, value: unknown): Promise<void> => {
  const { default: writeFileAtomic } = await import('write-file-atomic');
  await writeFileAtomic(path, stringify(value), { mode: holdsSecrets(value) ? 0o600 : 0o644 });
};
