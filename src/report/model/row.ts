import type { PointResult } from '../../messages/job-directory/result.ts';
import type { Distribution, Gpus, ServingResult } from '../../messages/job-directory/serving-result.ts';
import type { Requests, Row, Spread } from './report.ts';

interface RowContext {
  readonly id: string;
  readonly point: Pick<PointResult, 'ordinal' | 'benchmark'> & { readonly status: string };
  /** GPUs by the recipe, for results that do not state them. */
  readonly gpus: Gpus | null;
  readonly requests?: Requests | undefined;
}

/** A result at one concurrency as a row of the report. Results of earlier releases state fewer figures. */
export function rowOf(result: ServingResult, context: RowContext): Row {
  const { point, requests } = context;
  const { perGpu, outputPerUser, validity } = result;
  const reasons = reasonsOf(result, context);
  const gpus = perGpu?.gpus ?? context.gpus;
  const stated = outputPerUser && outputPerUser.count !== 0 ? outputPerUser.median : null;
  const user = stated ?? rateOfUser(result.tpotMs.median);
  return {
    id: context.id,
    ordinal: point.ordinal,
    concurrency: result.concurrency,
    requestRate: result.requestRate,
    valid: reasons.length === 0,
    reasons,
    warnings: [
      ...(result.measuredBy === undefined ? [] : [`measured by ${result.measuredBy}`]),
      ...(validity?.warnings.map(({ text }) => text) ?? []),
    ],
    requests: result.requests,
    failed: result.failed,
    durationS: result.durationS,
    requestThroughput: result.requestThroughput,
    outputThroughput: result.outputThroughput,
    totalThroughput: result.totalThroughput,
    outputPerGpu: perGpu?.outputPerGpu ?? (gpus ? result.outputThroughput / gpus.total : null),
    outputPerGpuFrom: perGpu ? 'result' : gpus ? 'computed' : null,
    outputPerUser: user,
    outputPerUserFrom: user === null ? null : stated === null ? 'computed' : 'result',
    gpus,
    ttftMs: spreadOf(result.ttftMs),
    tpotMs: spreadOf(result.tpotMs),
    itlMs: spreadOf(result.itlMs),
    e2elMs: spreadOf(result.e2elMs),
    ...(requests ? { requestsFile: requests } : {}),
    result,
  };
}

/** A distribution of no values says nothing. */
const spreadOf = (distribution: Distribution): Spread => (distribution.count === 0 ? {} : distribution);

/** Output tokens per second of a user whose tokens are `tpotMs` apart; null where there are none. */
export const rateOfUser = (tpotMs: number | undefined): number | null =>
  tpotMs !== undefined && tpotMs > 0 ? 1_000 / tpotMs : null;

/**
 * Why a row does not count. A point that has not ended well makes all its rows not valid. Of a point whose figures do
 * not count, other rows stay valid only when all reasons name their concurrency.
 */
function reasonsOf(result: ServingResult, { point: { status, benchmark } }: RowContext): string[] {
  const own = [
    ...(result.validity?.problems.map(({ text }) => text) ?? []),
    ...(result.partial ? ['the run was cut off: the figures are of the requests that ended before'] : []),
  ];
  if (status !== 'done') own.push(`the point did not end well: ${status}`);
  if (own.length > 0 || benchmark?.valid !== false) return own;
  const all = benchmark.reasons ?? [];
  if (all.length > 0)
    return all.filter(({ concurrency }) => concurrency === result.concurrency).map(({ text }) => text);
  return [benchmark.reason ?? 'the result says so, without a reason'];
}
