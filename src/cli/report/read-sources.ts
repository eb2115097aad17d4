import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { recordsFileOf } from '../../benchmarks/loadgen/figures/records.ts';
import { readPoints } from '../../coordinator/record/read-results.ts';
import { readUnfinished } from '../../coordinator/record/unfinished-points.ts';
import { SrtctlError } from '../../os/errors.ts';
import { KNOWN_FILES, sourceOfFile } from '../../report/foreign/index.ts';
import { sourceOfJob } from '../../report/model/job.ts';
import type { Requests, Source } from '../../report/model/report.ts';
import { parseRequests } from '../../report/model/requests.ts';
import { findJob, type JobOnDisk, readEvents, readState } from '../jobs/job-dir.ts';
import { jobStatus } from '../jobs/job-status.ts';

/** Requests of all rows together that a page keeps for its sliders: about 1 MB. */
const MOST_REQUESTS = 40_000;

/** A larger file of requests is left out, because reading it would take longer than the rest of the report. */
const MOST_BYTES = 512 * 1024 ** 2;

interface ReadOptions {
  readonly root: string;
  /** GPUs of the deployments behind other tools' files. */
  readonly gpus: number | null;
}

/**
 * Jobs and files of other tools as sources of a report, in their order.
 * @throws SrtctlError when one is neither a job nor a file of a known form
 */
export async function readSources(told: readonly string[], options: ReadOptions): Promise<Source[]> {
  const sources: Source[] = [];
  for (const one of told) {
    const source = await readSource(one, told.length, options);
    const taken = sources.filter(({ id }) => id === source.id || id.startsWith(`${source.id} (`)).length;
    sources.push(taken === 0 ? source : { ...source, id: `${source.id} (${taken + 1})` });
  }
  return sources;
}

async function readSource(told: string, count: number, { root, gpus }: ReadOptions): Promise<Source> {
  const isFile = await stat(resolve(told)).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile)
    return sourceOfJob(await jobFiles(await findJob(told, root), Math.floor(MOST_REQUESTS / count)));
  const context = {
    gpus: gpus === null ? null : { total: gpus, prefill: null, decode: null },
    mostRequests: Math.floor(MOST_REQUESTS / count),
  };
  const source = sourceOfFile(told, await readFile(resolve(told), 'utf8'), context);
  if (source) return source;
  throw new SrtctlError('results-unknown', `${told} is no file of results that srtctl can read`, {
    hint: `it reads ${KNOWN_FILES}`,
  });
}

async function jobFiles(job: JobOnDisk, mostRequests: number) {
  const [status, state, events, points, unfinished] = await Promise.all([
    jobStatus(job, { live: false }),
    readState(job),
    readEvents(job),
    readPoints(job.jobDir),
    readUnfinished(job.jobDir),
  ]);
  const rows = points.flatMap(({ dir, result }) =>
    (result.benchmark?.serving ?? []).map(({ concurrency }) => ({
      dir,
      ordinal: result.ordinal,
      concurrency,
    })),
  );
  const most = Math.max(100, Math.floor(mostRequests / Math.max(rows.length, 1)));
  const requests = new Map<string, Requests>();
  for (const { dir, ordinal, concurrency } of rows) {
    const found = await readRequests(join(dir, recordsFileOf(concurrency)), most);
    if (found) requests.set(`${ordinal}/${concurrency}`, found);
  }
  return {
    ...{ jobId: job.jobId, spec: job.spec, state, events, unfinished },
    results: points.map(({ result }) => result),
    stateText: status.state,
    requestsOf: (ordinal: number, concurrency: number) => requests.get(`${ordinal}/${concurrency}`),
  };
}

/** undefined when there is no such file: an earlier release wrote none, or the recipe switched it off. */
async function readRequests(path: string, most: number): Promise<Requests | undefined> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size === 0 || size > MOST_BYTES) return undefined;
  return parseRequests(await readFile(path, 'utf8'), most);
}
