import type { Gpus } from '../../messages/job-directory/serving-result.ts';
import type { ClientFigures, OneRequest } from '../../other-clients/figures.ts';
import type { Requests, Row } from '../model/report.ts';
import { evenly } from '../model/requests.ts';
import { rateOfUser } from '../model/row.ts';

/** What a reader of another tool's file knows before it reads. */
export interface ForeignContext {
  /** GPUs of the deployment, which no other tool states; null: unknown. */
  readonly gpus: Gpus | null;
  /** Most requests of a row that are kept. */
  readonly mostRequests: number;
}

/** A row of another tool's figures. It is valid when no request failed and some were completed. */
export function foreignRow(figures: ClientFigures, at: number, { gpus, mostRequests }: ForeignContext): Row {
  const { completed, failed, outputThroughput, outputPerUser, doubts = [] } = figures;
  const requestsFile = completedOf(figures.requests ?? [], mostRequests);
  const reasons = [
    ...doubts,
    ...(failed !== null && failed > 0 ? [`${failed} of ${failed + completed} requests failed`] : []),
    ...(completed === 0 ? ['no request was completed'] : []),
  ];
  const perGpu = gpus && outputThroughput !== null ? outputThroughput / gpus.total : null;
  const user = outputPerUser ?? rateOfUser(figures.tpotMs.median);
  return {
    id: `0/${at}`,
    ordinal: 0,
    concurrency: figures.concurrency,
    requestRate: figures.requestRate,
    valid: reasons.length === 0,
    reasons,
    warnings: [],
    requests: failed === null ? completed : completed + failed,
    failed,
    durationS: figures.durationS,
    requestThroughput: figures.requestThroughput,
    outputThroughput,
    totalThroughput: figures.totalThroughput,
    outputPerGpu: perGpu,
    outputPerGpuFrom: perGpu === null ? null : 'computed',
    outputPerUser: user,
    outputPerUserFrom: user === null ? null : outputPerUser === undefined ? 'computed' : 'result',
    gpus,
    ttftMs: figures.ttftMs,
    tpotMs: figures.tpotMs,
    itlMs: figures.itlMs,
    e2elMs: figures.e2elMs,
    ...(requestsFile ? { requestsFile } : {}),
  };
}

/** The completed requests, at most `most` of them; undefined without any. */
function completedOf(all: readonly OneRequest[], most: number): Requests | undefined {
  const completed = all.filter(({ failed }) => !failed);
  if (completed.length === 0) return undefined;
  const kept = evenly(completed, most);
  return {
    since: null,
    ttftMs: kept.map(({ ttft }) => ttft),
    tpotMs: kept.map(({ tpot }) => tpot),
    e2elMs: kept.map(({ e2el }) => e2el),
    outputTokens: kept.map(({ tokens }) => tokens),
    completed: completed.length,
    failed: all.length - completed.length,
  };
}
