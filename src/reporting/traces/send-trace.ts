import { readFile } from 'node:fs/promises';
import { parseEvents, type SrtEvent, type SweepTransition } from '../../messages/events/events.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import { timelineOf, type Windows } from '../../report/model/timeline.ts';
import type { ReportedJob } from '../common/job.ts';
import { exportTrace } from './otlp.ts';
import { requestsOfPoints } from './requests.ts';
import { traceOf } from './spans.ts';

/** Requests of each point that become spans, where the recipe says no number. */
const REQUESTS = 100;

/**
 * Sends the trace of a job, from its files.
 * @returns the number of spans; 0 when the job has no events
 * @throws Error when the collector does not take it
 */
export async function sendTrace(job: ReportedJob, endpoint: string, signal: AbortSignal): Promise<number> {
  const { jobId, jobDir, submittedAt } = job.spec;
  const events = parseEvents(await readFile(jobPaths(jobDir, jobId).events, 'utf8').catch(() => ''));
  const timeline = timelineOf(events, submittedAt, windowsOf(events));
  if (!timeline) return 0;
  const requests = await requestsOfPoints(jobDir, job.recipe.observability?.otel_requests ?? REQUESTS);
  const last = events.findLast((event): event is SweepTransition => event.kind === 'sweep.transition');
  const end = { exitCode: last?.exitCode ?? null, why: last?.cause?.summary ?? last?.why ?? 'it has no end' };
  const trace = traceOf(job, timeline, requests, end);
  await exportTrace(trace, endpoint, signal);
  return trace.spans.length;
}

/** When the requests of each point were measured. */
const windowsOf = (events: readonly SrtEvent[]): Windows =>
  new Map(
    events.flatMap((event) => {
      if (event.kind !== 'point.result') return [];
      const windows = (event.result.benchmark?.serving ?? []).flatMap(({ rates, durationS }) =>
        rates ? [[rates.since, rates.since + durationS * 1_000] as const] : [],
      );
      return [[event.ordinal, windows] as const];
    }),
  );
