import type {
  Distribution,
  Problem,
  ServingResult,
  Validity,
} from '../../../messages/job-directory/serving-result.ts';
import type { ClientFigures, OneRequest, Spread } from '../../../other-clients/figures.ts';
import { changedLimits, limitsOf } from '../figures/limits.ts';
import { perGpu } from '../figures/rates.ts';
import { Histogram, type Percentile, SHARES } from '../statistics/histogram.ts';
import type { OutsideAsked } from './settings.ts';

/** What another client's figures are compared with. */
export type AskedOf = Pick<
  OutsideAsked,
  'isl' | 'osl' | 'randomRangeRatio' | 'requestRate' | 'dataset' | 'gpus' | 'validity' | 'seed'
> & {
  readonly concurrency: number;
  readonly requests: number;
};

/**
 * The figures of another client in our result form, judged as far as it tells.
 * @param by the client's name, for `measuredBy`
 * @throws Error when a figure of the form is missing
 */
export function servingOf(figures: ClientFigures, by: string, asked: AskedOf): ServingResult {
  const { completed, failed, durationS, requestThroughput, outputThroughput, totalThroughput } = figures;
  if (durationS === null || requestThroughput === null || outputThroughput === null)
    throw new Error(`the file of ${by} has no duration, or no throughput`);
  const outputTokens = Math.round(figures.outputTokens ?? outputThroughput * durationS);
  const total = totalThroughput ?? outputThroughput;
  const inputTokens = Math.round(figures.inputTokens ?? (total - outputThroughput) * durationS);
  const throughputs = {
    requestThroughput,
    inputThroughput: durationS > 0 ? inputTokens / durationS : 0,
    outputThroughput,
    totalThroughput: total,
  };
  const of = (name: string, spread: Spread, valuesOf: (one: OneRequest) => readonly number[]): Distribution =>
    distributionOf(`${by}: ${name}`, spread, figures, valuesOf);
  const result: ServingResult = {
    concurrency: asked.concurrency,
    requestRate: asked.requestRate === 'inf' ? null : asked.requestRate,
    ...{ isl: asked.isl, osl: asked.osl },
    requests: failed === null ? Math.max(asked.requests, completed) : completed + failed,
    completed,
    failed: failed ?? Math.max(asked.requests - completed, 0),
    ...{ errors: [], durationS, inputTokens, outputTokens, ...throughputs },
    ttftMs: of('TTFT', figures.ttftMs, ({ ttft }) => [ttft]),
    tpotMs: of('TPOT', figures.tpotMs, ({ tpot }) => (tpot === null ? [] : [tpot])),
    itlMs: of('ITL', figures.itlMs, ({ gaps }) => gaps),
    e2elMs: of('E2EL', figures.e2elMs, ({ e2el }) => [e2el]),
    seed: asked.seed,
    ...(asked.gpus ? { perGpu: perGpu(throughputs, asked.gpus) } : {}),
    measuredBy: by,
  };
  return { ...result, validity: judged(result, figures, asked) };
}

function distributionOf(
  what: string,
  spread: Spread,
  { completed, requests }: ClientFigures,
  valuesOf: (one: OneRequest) => readonly number[],
): Distribution {
  const histogram = new Histogram();
  if (requests)
    for (const one of requests) if (!one.failed) for (const value of valuesOf(one)) histogram.add(value);
  // Nothing was completed, or the client states each request.
  if (requests || completed === 0) return histogram.distribution();
  const { mean, median, p90, p95, p99, std, min, max } = spread;
  const whole = { mean, median, p90, p95, p99, std, min, max };
  const missing = Object.entries(whole).flatMap(([name, value]) => (value === undefined ? [name] : []));
  if (missing.length > 0) throw new Error(`${what} has no ${missing.join(', ')}`);
  const others = Object.fromEntries(
    (Object.keys(SHARES) as Percentile[]).flatMap((name) => {
      const value = spread[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  return { ...others, ...(whole as Distribution) };
}

/** A client says little about itself: failed requests, and tokens other than asked, are judged, the rest is unknown. */
function judged(result: ServingResult, { doubts = [] }: ClientFigures, asked: AskedOf): Validity {
  const { completed, failed, requests, outputTokens, requestRate, requestThroughput } = result;
  const limits = limitsOf(asked.validity, 0);
  const problems: Problem[] = doubts.map((text) => ({ what: 'client', text, limit: null, value: 1 }));
  const over = (what: 'max_failed' | 'output_tokens' | 'rate', value: number, text: string): void => {
    const limit = limits[what];
    if (limit !== null && value > limit) problems.push({ what, text, limit, value });
  };
  over('max_failed', failed, `${failed} of ${requests} requests failed`);
  if (completed === 0)
    problems.push({ what: 'completed', text: 'no request was completed', limit: null, value: 0 });
  else if (asked.dataset.name === 'random') {
    const mean = outputTokens / completed;
    const [least, most] = [Math.max(1, Math.floor(asked.osl * asked.randomRangeRatio)), asked.osl];
    const apart = Math.max(least / mean - 1, mean / most - 1, 0);
    const range = least === most ? `${most}` : `${least} to ${most}`;
    over(
      'output_tokens',
      apart,
      `answers had ${mean.toFixed(1)} tokens in the mean, and ${range} were asked for`,
    );
  }
  if (requestRate !== null && completed > 0)
    over(
      'rate',
      // A run also takes the time of its last request.
      requestRate / requestThroughput - 1 - result.e2elMs.max / 1_000 / result.durationS,
      `requests were answered at ${requestThroughput.toFixed(2)} a second, of ${requestRate} asked for`,
    );
  return {
    valid: problems.length === 0,
    ...{ problems, warnings: [], changed: changedLimits(asked.validity) },
    unknown: [
      {
        what: 'client_busy',
        why: `${result.measuredBy ?? 'the client'} does not say whether it was late, what answers contradicted, and which model answered`,
      },
    ],
  };
}
