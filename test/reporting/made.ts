import type { EventBody, SrtEvent } from '../../src/messages/events/events.ts';
import { jobSpecSchema } from '../../src/messages/job-directory/job-files.ts';
import type { Reporting } from '../../src/recipe/schema/reporting.ts';
import { type ReportedJob, reportedJob } from '../../src/reporting/common/job.ts';

/** A job as its <job id>.json has it. */
export function madeJob(
  reporting: unknown = null,
  jobDir = '/nowhere',
  observability: unknown = null,
): ReportedJob {
  return reportedJob(
    jobSpecSchema.parse({
      ...{ v: 1, jobId: '77', name: 'small', mode: 'slurm', mock: true, jobDir, setupScript: null },
      ...{ submittedAt: '2026-11-30T10:00:00.000Z', tags: ['nightly'], nodes: ['n1', 'n2'] },
      cluster: { cluster: 'east' },
      variant: {
        file: 'recipe.yaml',
        points: [
          {
            recipe: {
              model: { path: 'qwen3', precision: 'fp8' },
              resources: { gpu_type: 'h100', gpus_per_node: 8, agg_workers: 1 },
              ...{ benchmark: { type: 'sa-bench' }, backend: { type: 'sglang' }, frontend: { type: 'smg' } },
              reporting: reporting as Reporting,
              observability,
            },
          },
        ],
      },
    }),
  );
}

/** Numbers and dates events, a second apart. */
export function madeEvents(bodies: readonly EventBody[]): SrtEvent[] {
  return bodies.map(
    (body, at) =>
      ({
        ...{ v: 1, source: 'coordinator:1', seq: at + 1 },
        at: new Date(Date.parse('2026-11-30T10:01:00Z') + at * 1_000).toISOString(),
        ...body,
      }) as SrtEvent,
  );
}

const none = { cause: null };
const sweep = { kind: 'sweep.transition', points: 1, exitCode: null, ...none } as const;
const point = { kind: 'point.transition', ordinal: 0, name: 'small', ...none } as const;

/** The events of a job with one point, which ends with `exitCode`. */
export const wholeRun = (exitCode: number, why = 'every point has run'): SrtEvent[] =>
  madeEvents([
    { ...sweep, from: null, to: 'booting', why: 'submitted' },
    { ...sweep, from: 'booting', to: 'running', why: 'every agent has joined' },
    { ...point, from: 'planned', to: 'deploying', why: 'starting' },
    {
      kind: 'process.transition',
      ...{ node: 'n1', process: 'agg-0', role: 'agg', from: null, to: 'starting', why: 'spawned', pid: 9 },
      ...{ exitCode: null, signal: null, generation: 1 as never, logFile: 'a.out' },
    },
    { ...point, from: 'deploying', to: 'warming', why: 'workers are ready' },
    { ...point, from: 'warming', to: 'benchmarking', why: 'the frontend reports every worker' },
    { ...point, from: 'benchmarking', to: 'done', why: 'the result is valid' },
    {
      kind: 'point.result',
      ordinal: 0,
      result: {
        ...{ v: 1, job: '77', ordinal: 0, name: 'small', params: null, status: 'done', cause: null },
        ...{ startedAt: '2026-11-30T10:01:02.000Z', benchmarkStartedAt: null },
        ...{ finishedAt: '2026-11-30T10:01:06.000Z', benchmark: null },
      },
    },
    { ...sweep, from: 'finishing', to: 'finished', why, exitCode },
  ]);
