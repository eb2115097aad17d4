import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createActor, fromPromise } from 'xstate';
import { stringify } from 'yaml';
import { benchmarkFor } from '../../benchmarks/index.ts';
import { partialResult } from '../../benchmarks/partial-result.ts';
import { type PointEvent, type PointOutcome, pointMachine, topState } from '../../machines/point.ts';
import { writeJson } from '../../messages/job-directory/files.ts';
import {
  type BenchmarkProgress,
  benchmarkProgressSchema,
  type CacheRecord,
  type Cause,
  type PointResult,
} from '../../messages/job-directory/result.ts';
import { type DeployPhase, deployPhases } from '../../messages/spec/process-spec.ts';
import type { PointState } from '../../messages/spec/states.ts';
import type { PlannedPoint } from '../../model/kinds.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { holdsSecrets } from '../../recipe/values/secrets.ts';
import { prepareAttempt, syncPoint } from '../record/point-files.ts';
import type { InterruptedPoint } from '../takeover/remaining-work.ts';
import { awaitedIn, type Deployment } from './deployment.ts';
import { flushCaches } from './flush-caches.ts';
import { silentWorkers } from './silent-workers.ts';

const PROGRESS_MS = 500;
/** How much later than the first failed request the end of the worker that failed it may be reported. */
const CAUSE_MS = 3_000;
/** Phases whose readiness is the deployment's own; the others are what the point warms up with. */
const WARM: readonly DeployPhase[] = ['frontend', 'proxy'];

export interface PointRunOptions {
  readonly jobId: string;
  readonly clock: SteadyClock;
  readonly point: PlannedPoint;
  readonly pointDir: string;
  /** From 1: how often it has been tried, this time included. */
  readonly attempt: number;
  readonly deployment: Deployment;
  /** It ran under a coordinator that was killed, and goes on. */
  readonly before?: InterruptedPoint | null;
  /** What a recipe asks for and srtctl does not do. */
  readonly notDone: (recipe: Recipe) => readonly string[];
  readonly cleanup: () => Promise<void>;
  /** A better cause than the first that was seen, now that all has ended. `whole` is `told` with the end of the log. */
  readonly explain: (told: Cause, whole: Cause) => Promise<Cause>;
  readonly onTransition: (from: PointState | null, to: PointState, why: string, cause: Cause | null) => void;
  readonly onProgress: (progress: BenchmarkProgress) => void;
  /** The result is on disk; resolves when all that follows of it is, too. */
  readonly onResult: (result: PointResult) => Promise<void>;
  /** Does not return in a coordinator that is not in charge any more. */
  readonly mayWrite: () => void;
  readonly onDefect: (what: string, error: unknown) => void;
}

export interface PointRun {
  send(event: PointEvent): void;
  /** Resolves when the point is over and its result is on disk. */
  readonly outcome: Promise<PointOutcome>;
}

/** Runs one point: the point machine with its actors provided, and its files. */
export function startPoint(options: PointRunOptions): PointRun {
  const { clock, point, pointDir, deployment, before } = options;
  const startedAt = before?.startedAt ?? clock.date();
  let caches: CacheRecord[] | null = null;
  let benchmarkStartedAt = before?.benchmarkStartedAt ?? null;
  const used = deployPhases.filter(
    (phase) => phase !== 'benchmark' && point.processes.some((spec) => awaitedIn(spec) === phase),
  );
  const machine = pointMachine.provide({
    actors: {
      deployPhase: fromPromise(({ input, signal }) =>
        deployment.deploy(point.processes, input.phase, signal),
      ),
      flushCaches: fromPromise(async ({ signal }) => {
        // `manual` measures nothing; and a benchmark that runs already must not find its engines' caches gone.
        const { process } = point.benchmark;
        if (process && !deployment.isWanted(process)) caches = await flushCaches(point.rest, signal);
      }),
      benchmark: fromPromise(({ signal }) => {
        benchmarkStartedAt ??= clock.date();
        return runBenchmark(options, signal);
      }),
      collect: fromPromise(async ({ signal }) => {
        const protocol = benchmarkFor(point.benchmark.type);
        if (!protocol) throw new Error(`benchmark ${point.benchmark.type} cannot be read`);
        const lossy = (await deployment.losses()).length > 0;
        const result = await protocol.readResult(point.benchmark, { lossy });
        // A request that fails ends the benchmark at once. Where a process failed it, its end is the better cause.
        const cut = result.serving.some(({ partial }) => partial);
        const [silent] = cut
          ? await Promise.all([
              silentWorkers(point.processes, signal),
              setTimeout(CAUSE_MS, undefined, { signal }),
            ])
          : [[]];
        const degraded = deployment.sick();
        // One that is known to be degraded is named once.
        const isNamed = (text: string): boolean =>
          degraded.some((known) => known.startsWith(`${text.split(' ')[0]} `));
        const sick = [...degraded, ...silent.filter((text) => !isNamed(text))];
        if (result.valid || sick.length === 0) return result;
        // Requests fail because of it, and its own limit comes later.
        return { ...result, reason: [result.reason ?? 'the result is not valid', ...sick].join('; ') };
      }),
      cleanup: fromPromise(() => options.cleanup()),
    },
  });
  const actor = createActor(machine, {
    input: {
      ordinal: point.ordinal,
      name: point.name,
      deploy: used.filter((phase) => !WARM.includes(phase)),
      warm: used.filter((phase) => WARM.includes(phase)),
      endsWhenStopped: point.benchmark.process === null,
    },
  });
  let state: PointState | null = null;
  const outcome = new Promise<PointOutcome>((resolve, reject) => {
    actor.subscribe({
      next: (snapshot) => {
        const next = topState(snapshot.value) as PointState;
        if (next !== state) {
          const from = state;
          state = next;
          options.onTransition(from, next, snapshot.context.why, snapshot.context.cause);
          if (snapshot.context.unexpected.length > 0)
            options.onDefect(`point ${point.ordinal}: unexpected events`, snapshot.context.unexpected);
        }
        if (snapshot.status === 'done') resolve(snapshot.output);
      },
      error: reject,
    });
  }).then(async (first): Promise<PointOutcome> => {
    const ended =
      first.status !== 'failed' || first.cause === null
        ? first
        : { ...first, cause: await options.explain(first.cause, await deployment.withTail(first.cause)) };
    const lost = await deployment.losses();
    const notDone = options.notDone(point.recipe);
    // What was measured stays, however the point ended.
    const kept = first.result ?? (benchmarkStartedAt === null ? null : await partialResult(point.benchmark));
    const result: PointResult = {
      v: 1,
      job: options.jobId,
      ordinal: point.ordinal,
      name: point.name,
      params: point.params,
      attempt: options.attempt,
      status: ended.status,
      startedAt: startedAt.toISOString(),
      benchmarkStartedAt: benchmarkStartedAt?.toISOString() ?? null,
      finishedAt: clock.date().toISOString(),
      caches,
      benchmark: kept,
      cause: ended.cause,
      ...(notDone.length > 0 ? { notDone: [...notDone] } : {}),
      ...(lost.length > 0 ? { lost } : {}),
    };
    try {
      await files;
      options.mayWrite();
      await writeJson(join(pointDir, 'result.json'), result);
      await syncPoint(pointDir);
    } catch (error) {
      // A full disk, as a rule. Figures that are not kept are no result; the other points' are as they were.
      const cause = {
        summary: `the result cannot be written: ${error instanceof Error ? error.message : error}`,
      };
      options.onDefect(`result of point ${point.ordinal}`, error);
      await options.onResult({ ...result, status: 'failed', cause: result.cause ?? cause });
      return { ...ended, status: 'failed', cause: ended.cause ?? cause };
    }
    await options.onResult(result);
    return ended;
  });
  const onDefect = (error: unknown) => options.onDefect(`files of point ${point.ordinal}`, error);
  // One that goes on is where it was.
  options.mayWrite();
  const prepared = prepareAttempt(pointDir, before ? 1 : options.attempt).catch(onDefect);
  // The point need not wait for its config.yaml, only its end does.
  const files = prepared.then(() => writeYaml(join(pointDir, 'config.yaml'), point.recipe)).catch(onDefect);
  void prepared.then(() => {
    actor.start();
    actor.send({ type: 'point.start' });
    if (before?.cause) actor.send({ type: 'point.broken', cause: before.cause });
  });
  return { send: (event) => actor.send(event), outcome };
}

async function runBenchmark(
  { point, pointDir, deployment, onProgress }: PointRunOptions,
  signal: AbortSignal,
) {
  const { process } = point.benchmark;
  if (!process) {
    // `manual`: the deployment stays up until somebody stops the job.
    await new Promise((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
    );
    return;
  }
  let told = '';
  const tellProgress = async () => {
    const text = await readFile(join(pointDir, 'progress.json'), 'utf8').catch(() => '');
    if (text === '' || text === told) return;
    told = text;
    const progress = benchmarkProgressSchema.safeParse(JSON.parse(text));
    if (progress.success) onProgress(progress.data);
  };
  const timer = setInterval(() => void tellProgress().catch(() => undefined), PROGRESS_MS);
  try {
    await deployment.deploy(point.processes, 'benchmark', signal);
    await deployment.completed(process.id, signal);
    await tellProgress().catch(() => undefined);
  } finally {
    clearInterval(timer);
  }
}

const writeYaml = async (path: string, value: unknown): Promise<void> => {
  const { default: writeFileAtomic } = await import('write-file-atomic');
  await writeFileAtomic(path, stringify(value), { mode: holdsSecrets(value) ? 0o600 : 0o644 });
};
