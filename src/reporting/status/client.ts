import { collectorsOf, reportedId, tokenVariable } from '../../recipe/schema/reporting.ts';
import { deadline } from '../common/deadline.ts';
import type { Outcome } from '../common/deliveries.ts';
import { type Answer, hostOf, outcomeOf, sendJson } from '../common/http.ts';
import type { ReportedJob } from '../common/job.ts';
import type { JobUpdate } from './contract.ts';
import { jobCreate } from './lifecycle.ts';

/** A status collector, and the job as it knows it. */
export interface Collector {
  /** Without a slash at the end. */
  readonly url: string;
  /** POST: creates the record of the job. */
  create(signal: AbortSignal): Promise<Outcome>;
  /** PUT: a new status. A collector that does not know the job yet gets its record first. */
  update(update: JobUpdate, signal: AbortSignal): Promise<Outcome>;
}

/**
 * The collectors of a job.
 * @param env has the token, which goes into a header alone
 */
export function collectors(job: ReportedJob, env: NodeJS.ProcessEnv): Collector[] {
  const id = reportedId(job.reporting, job.spec.jobId);
  const token = env[tokenVariable(job.reporting)];
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const record = JSON.stringify(jobCreate(job, id));
  return collectorsOf(job.reporting).map((url) => {
    const post = (signal: AbortSignal): Promise<Answer> =>
      sendJson({ method: 'POST', url: `${url}/api/jobs`, body: record, headers }, signal);
    const put = (body: string, signal: AbortSignal): Promise<Answer> =>
      sendJson({ method: 'PUT', url: `${url}/api/jobs/${encodeURIComponent(id)}`, body, headers }, signal);
    const create = async (signal: AbortSignal): Promise<Outcome> => {
      const answer = await post(signal);
      // It has the record already.
      return 'status' in answer && answer.status === 409 ? 'done' : outcomeOf(answer);
    };
    return {
      url,
      create,
      async update(update, signal) {
        const body = JSON.stringify(update);
        const answer = await put(body, signal);
        if (!('status' in answer) || answer.status !== 404) return outcomeOf(answer);
        const created = await create(signal);
        return created === 'done' ? outcomeOf(await put(body, signal)) : created;
      },
    };
  });
}

/**
 * Creates a submitted job's record in each collector, once. Resolves with a line for each collector that did not take
 * it; the job itself reports again when it starts.
 * @param withinMs the limit for all of it
 */
export async function announce(
  job: ReportedJob,
  env: NodeJS.ProcessEnv,
  withinMs: number,
): Promise<string[]> {
  const limit = deadline(withinMs);
  const said = await Promise.all(
    collectors(job, env).map(async ({ url, create }) => {
      const outcome = await create(limit.signal);
      if (outcome === 'done') return [];
      return [`${hostOf(url)}: ${'again' in outcome ? outcome.again : outcome.refused}`];
    }),
  );
  limit.end();
  return said.flat();
}
