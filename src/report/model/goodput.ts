import type { Row } from './report.ts';

/** Limits in ms that a request has to keep; a missing one does not count. */
export interface Slo {
  readonly ttftMs?: number;
  readonly tpotMs?: number;
  readonly e2elMs?: number;
}

export interface Goodput {
  /** Of all requests, failed ones included. */
  readonly share: number;
  /** Requests and output tokens per second within all limits. */
  readonly requestThroughput: number;
  readonly outputThroughput: number;
}

/** What of a row's requests was within all limits, by its per-request records; undefined without records. */
export function goodputOf({ requestsFile: requests, durationS }: Row, slo: Slo): Goodput | undefined {
  if (!requests || durationS === null || durationS <= 0) return undefined;
  let good = 0;
  let tokens = 0;
  for (const [at, ttft] of requests.ttftMs.entries()) {
    const within =
      ttft <= (slo.ttftMs ?? Infinity) &&
      (requests.tpotMs[at] ?? 0) <= (slo.tpotMs ?? Infinity) &&
      (requests.e2elMs[at] ?? 0) <= (slo.e2elMs ?? Infinity);
    if (!within) continue;
    good++;
    tokens += requests.outputTokens[at] ?? 0;
  }
  // The values may be a sample of the completed requests.
  const scale = requests.completed / requests.ttftMs.length;
  return {
    share: (good * scale) / (requests.completed + requests.failed),
    requestThroughput: (good * scale) / durationS,
    outputThroughput: (tokens * scale) / durationS,
  };
}
