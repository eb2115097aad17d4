import type { Gpus } from '../../messages/job-directory/serving-result.ts';
import type { Requests, Row, Spread } from '../model/report.ts';
import { evenly } from '../model/requests.ts';
import { rateOfUser } from '../model/row.ts';

/** What a reader of another tool's file knows before it reads. */
export interface ForeignContext {
  /** GPUs of the deployment, which no other tool states; null: unknown. */
  readonly gpus: Gpus | null;
  /** Most requests of a row that are kept. */
  readonly mostRequests: number;
}

/** Figures that every tool states in some form. Rates per second. */
export interface ForeignFigures {
  readonly concurrency: number | null;
  readonly requestRate: number | null;
  readonly completed: number;
  /** null: the tool does not say. */
  readonly failed: number | null;
  readonly durationS: number | null;
  readonly requestThroughput: number | null;
  readonly outputThroughput: number | null;
  readonly totalThroughput: number | null;
  /** Stated by the tool; else it is computed from TPOT. */
  readonly outputPerUser?: number | undefined;
  readonly ttftMs: Spread;
  readonly tpotMs: Spread;
  readonly itlMs: Spread;
  readonly e2elMs: Spread;
  readonly requestsFile?: Requests | undefined;
  /** Why the tool itself doubts the figures. */
  readonly doubts?: readonly string[];
}

/** A row of another tool's figures. It is valid when no request failed and some were completed. */
export function foreignRow(figures: ForeignFigures, at: number, { gpus }: ForeignContext): Row {
  const { completed, failed, outputThroughput, outputPerUser, requestsFile, doubts = [] } = figures;
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

/** Per-request lists as vLLM and SGLang write them, in seconds. */
export interface RequestLists {
  readonly ttfts?: readonly number[] | undefined;
  readonly itls?: readonly (readonly number[])[] | undefined;
  readonly latencies?: readonly number[] | undefined;
  readonly output_lens?: readonly number[] | undefined;
  readonly errors?: readonly (string | null)[] | undefined;
}

/** The completed requests of such lists; undefined without lists. */
export function requestsOfLists(lists: RequestLists, most: number): Requests | undefined {
  const { ttfts, itls, latencies, output_lens: lengths, errors } = lists;
  if (!ttfts || !lengths || !(itls || latencies)) return undefined;
  const all = ttfts.map((ttft, at) => {
    const later = (itls?.[at] ?? []).reduce((sum, gap) => sum + gap, 0);
    const tokens = lengths[at] ?? 0;
    const e2el = latencies?.[at] ?? ttft + later;
    return {
      failed: (errors?.[at] ?? '') !== '' || tokens === 0,
      ttft: ttft * 1_000,
      tpot: tokens > 1 ? ((e2el - ttft) * 1_000) / (tokens - 1) : null,
      e2el: e2el * 1_000,
      tokens,
    };
  });
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
