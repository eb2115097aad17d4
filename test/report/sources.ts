import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEvents } from '../../src/messages/events/events.ts';
import { jobSpecSchema, jobStateSchema } from '../../src/messages/job-directory/job-files.ts';
import { pointResultSchema } from '../../src/messages/job-directory/result.ts';
import { sourceOfJob } from '../../src/report/model/job.ts';
import type { Report, Requests, Row, Source } from '../../src/report/model/report.ts';

const jobs = resolve(import.meta.dirname, '../fixtures/jobs');

/** A job that an earlier release wrote: `done`, or the one whose worker was killed. */
export function oldJob(version: string, which: 'done' | 'failed', requests?: Requests): Source {
  const ids = readdirSync(join(jobs, version)).sort();
  const jobId = ids[which === 'done' ? 0 : 1] ?? '';
  const dir = join(jobs, version, jobId);
  const json = (...path: string[]): unknown => JSON.parse(readFileSync(join(dir, ...path), 'utf8'));
  return sourceOfJob({
    jobId,
    spec: jobSpecSchema.parse(json(`${jobId}.json`)),
    state: jobStateSchema.parse(json('state.json')),
    events: parseEvents(readFileSync(join(dir, 'events.jsonl'), 'utf8')),
    results: [pointResultSchema.parse(json('points', '00-quickstart', 'result.json'))],
    unfinished: [],
    stateText: 'finished',
    requestsOf: () => requests,
  });
}

/** All releases that have a folder of jobs, from the oldest. */
export const OLD_VERSIONS = readdirSync(jobs)
  .filter((name) => !name.endsWith('.md'))
  .sort();

export const reportOf = (...sources: Source[]): Report => ({
  ...{ v: 1, madeAt: '2026-11-30T12:00:00.000Z', srtctl: '0.1.0' },
  sources,
});

const SPREAD = { mean: 11, median: 10, p90: 15, p95: 18, p99: 20, min: 5, max: 25 };

/** A valid row. */
export const row = (given: Partial<Row> = {}): Row => ({
  ...{ id: '0/0', ordinal: 0, concurrency: 8, requestRate: null, valid: true, reasons: [], warnings: [] },
  ...{
    requests: 10,
    failed: 0,
    durationS: 2,
    requestThroughput: 5,
    outputThroughput: 800,
    totalThroughput: 900,
  },
  ...{ outputPerGpu: 100, outputPerGpuFrom: 'computed', outputPerUser: 50, outputPerUserFrom: 'computed' },
  ...{
    gpus: { total: 8, prefill: 4, decode: 4 },
    ttftMs: SPREAD,
    tpotMs: SPREAD,
    itlMs: SPREAD,
    e2elMs: SPREAD,
  },
  ...given,
});

/** A job with a point for each list of rows; `params` are those of the points. */
export const source = (
  id: string,
  points: readonly (readonly Row[])[],
  params: readonly (Record<string, unknown> | null)[] = [],
): Source => ({
  ...{ id, tool: 'srtctl', name: 'sweep', state: 'finished', exitCode: 0, submittedAt: null, tags: [] },
  ...{ cause: null, warnings: [], environment: [], recipe: null, varied: [], timeline: null },
  points: points.map((rows, ordinal) => ({
    ...{ ordinal, name: `point${ordinal}`, params: params[ordinal] ?? null, status: 'done', valid: true },
    ...{ reason: null, attempt: 1, startedAt: null, finishedAt: null, cause: null, own: {}, caches: [] },
    ...{ notDone: [], lost: [], restarts: [], kills: [] },
    rows: rows.map((one, at) => ({ ...one, id: `${ordinal}/${at}`, ordinal })),
  })),
});
