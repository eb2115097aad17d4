import type { SrtEvent } from '../../messages/events/events.ts';
import type { JobSpec, JobState } from '../../messages/job-directory/job-files.ts';
import {
  type BenchmarkResult,
  type PointResult,
  statusOfResult,
} from '../../messages/job-directory/result.ts';
import { gpusOf } from './gpus.ts';
import type { Point, Requests, Source } from './report.ts';
import { rowOf } from './row.ts';
import { timelineOf, type Windows } from './timeline.ts';
import { type PlannedPoint, valuesAt, whatRan } from './what-ran.ts';

/** What a job's directory has. */
export interface JobFiles {
  readonly jobId: string;
  readonly spec: JobSpec;
  /** undefined: the coordinator has not written it. */
  readonly state: JobState | undefined;
  readonly events: readonly SrtEvent[];
  readonly results: readonly PointResult[];
  /** Figures so far of points without a result. */
  readonly unfinished: readonly { readonly ordinal: number; readonly benchmark: BenchmarkResult }[];
  /** The job's state for people: `finished`, `dead`, … */
  readonly stateText: string;
  /** Per-request records, by the point's ordinal and the concurrency. */
  requestsOf(ordinal: number, concurrency: number): Requests | undefined;
}

/** A job as a source of a report. */
export function sourceOfJob(job: JobFiles): Source {
  const { spec, state } = job;
  const ran = whatRan(spec.variant);
  const varied = ran?.varied ?? [];
  const points = pointsOf(job, ran?.points ?? [], varied);
  return {
    id: job.jobId,
    tool: 'srtctl',
    name: spec.name,
    state: job.stateText,
    exitCode: state?.exitCode ?? null,
    submittedAt: spec.submittedAt,
    tags: spec.tags,
    cause: state?.cause ?? null,
    warnings: job.events.flatMap((event) => (event.kind === 'job.warning' ? [event.text] : [])),
    environment: environmentOf(job, ran?.file ?? null, ran?.variant ?? '', ran?.edits ?? []),
    recipe: ran?.common ?? null,
    varied,
    points,
    timeline: timelineOf(job.events, spec.submittedAt, windowsOf(points)),
  };
}

/** When requests were measured, as far as their records say. */
const windowsOf = (points: readonly Point[]): Windows =>
  new Map(
    points.map(({ ordinal, rows }) => [
      ordinal,
      rows.flatMap(({ requestsFile, result, durationS }) => {
        const since = requestsFile?.since ?? result?.rates?.since ?? null;
        return since === null || durationS === null ? [] : [[since, since + durationS * 1_000] as const];
      }),
    ]),
  );

function pointsOf(job: JobFiles, planned: readonly PlannedPoint[], varied: readonly string[]): Point[] {
  const plans = new Map(planned.map((point) => [point.ordinal, point]));
  const results = new Map(job.results.map((result) => [result.ordinal, result]));
  const states = new Map(job.state?.points.map((point) => [point.ordinal, point]));
  const unfinished = new Map(job.unfinished.map(({ ordinal, benchmark }) => [ordinal, benchmark]));
  const ordinals = [...new Set([...plans.keys(), ...results.keys(), ...states.keys()])].sort((a, b) => a - b);
  return ordinals.map((ordinal) => {
    const plan = plans.get(ordinal);
    const own = plan ? valuesAt(plan.recipe, varied) : {};
    const result = results.get(ordinal);
    if (result) return finishedPoint(job, result, plan, own);
    const benchmark = unfinished.get(ordinal) ?? null;
    const status = statusWithoutResult(job, states.get(ordinal)?.state);
    return {
      ...NOTHING,
      ...{ ordinal, own, status },
      name: plan?.name ?? states.get(ordinal)?.name ?? '',
      params: plan?.params ?? null,
      valid: benchmark ? false : null,
      reason: benchmark?.reason ?? null,
      rows: rowsOfPoint(job, { ordinal, benchmark, status }, plan),
    };
  });
}

const NOTHING = {
  ...{ attempt: 1, startedAt: null, finishedAt: null, cause: null },
  ...{ caches: [], notDone: [], lost: [], restarts: [], kills: [], rows: [] },
};

/** A point without result.json: it never began, it runs, or its coordinator was killed. */
function statusWithoutResult({ stateText, state }: JobFiles, at: string | undefined): string {
  const isOver = state?.sweep === 'finished' || stateText === 'dead';
  if (at === undefined || at === 'planned') return isOver ? 'not run' : 'waiting';
  return isOver ? 'not finished' : 'running';
}

function finishedPoint(
  job: JobFiles,
  result: PointResult,
  plan: PlannedPoint | undefined,
  own: Record<string, unknown>,
): Point {
  const { ordinal, name, params, benchmark, cause } = result;
  return {
    ...{ ordinal, name, params, cause, own },
    status: statusOfResult(result),
    valid: benchmark?.valid ?? null,
    reason: benchmark?.reason ?? null,
    attempt: result.attempt ?? 1,
    startedAt: result.startedAt,
    finishedAt: result.finishedAt,
    caches: result.caches ?? [],
    notDone: result.notDone ?? [],
    lost: result.lost ?? [],
    restarts: result.worker_restarts ?? [],
    kills: result.worker_kills ?? [],
    ...(benchmark?.accuracy?.length ? { accuracy: benchmark.accuracy } : {}),
    rows: rowsOfPoint(job, result, plan),
  };
}

function rowsOfPoint(
  job: JobFiles,
  point: Pick<PointResult, 'ordinal' | 'benchmark'> & { readonly status: string },
  plan: PlannedPoint | undefined,
) {
  const gpus = gpusOf(plan?.recipe);
  return (point.benchmark?.serving ?? []).map((serving, at) =>
    rowOf(serving, {
      ...{ id: `${point.ordinal}/${at}`, point, gpus },
      requests: job.requestsOf(point.ordinal, serving.concurrency),
    }),
  );
}

function environmentOf(
  { spec, state }: JobFiles,
  file: string | null,
  variant: string,
  edits: readonly string[],
): [string, string][] {
  const slurm = spec.slurm ? `Slurm job ${spec.slurm.jobId}` : 'Slurm';
  const all: [string, string | null | undefined][] = [
    ['where', spec.mode === 'slurm' ? slurm : 'this machine (--local)'],
    ['engines', spec.mock ? 'simulated (--mock): figures say nothing about hardware' : null],
    ['nodes', spec.nodes.length === 0 ? null : `${spec.nodes.length}: ${spec.nodes.join(', ')}`],
    ['recipe', file === null ? null : `${file}${variant === '' ? '' : `:${variant}`}`],
    ['changed by', edits.length === 0 ? null : edits.join(' ')],
    ['setup script', spec.setupScript],
    ['result set', spec.resultSet],
    ['resumed from', spec.resumed?.jobId],
    ['coordinators', state && state.epoch > 1 ? `${state.epoch}: it was taken over` : null],
  ];
  return all.flatMap(([name, value]) => (value == null ? [] : [[name, value] as [string, string]]));
}
