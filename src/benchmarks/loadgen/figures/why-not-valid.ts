import type { BenchmarkResult } from '../../../messages/job-directory/result.ts';
import type { Problem, ServingResult } from '../../../messages/job-directory/serving-result.ts';
import type { LimitName } from '../../../recipe/schema/validity.ts';

/** What a lost worker does to a run that can do without it, or wants its end. */
const LOSSES: readonly string[] = [
  'max_failed',
  'max_ended_early',
  'max_engine_restarts',
  'rate',
  'slow_start',
] satisfies LimitName[];

type Reasons = NonNullable<BenchmarkResult['reasons']>;

/** The same figures, where what a lost worker does is no problem but a warning. */
export function withLosses(result: ServingResult): ServingResult {
  const { validity } = result;
  if (!validity) return result;
  const [losses, problems] = [true, false].map((isLoss) =>
    validity.problems.filter(({ what }) => LOSSES.includes(what) === isLoss),
  ) as [Problem[], Problem[]];
  return {
    ...result,
    validity: {
      ...validity,
      valid: problems.length === 0,
      problems,
      warnings: [...validity.warnings, ...losses],
    },
  };
}

/** All reasons for which figures do not count; [] = valid. Every concurrency needs a result. */
export function reasonsOf(
  concurrencies: readonly number[],
  serving: readonly ServingResult[],
  lossy = false,
): Reasons {
  const isCutOff = serving.some(({ partial }) => partial);
  return concurrencies.flatMap((concurrency) => {
    const result = serving.find((one) => one.concurrency === concurrency);
    const reason = (what: string, text: string, value: number) => ({
      ...{ what, text, limit: null, value, concurrency },
    });
    // After one that was cut off no further one was run.
    if (!result) return isCutOff ? [] : [reason('missing', 'there is no result', 0)];
    const { failed, requests, errors, completed, outputTokens, validity, partial } = result;
    const found = validity?.problems.map((problem) => ({ ...problem, concurrency })) ?? [];
    if (partial)
      return [...found, ...(found.length === 0 ? [reason('partial', 'the run was cut off', 0)] : [])];
    if (validity) return lossy ? found.filter(({ what }) => !LOSSES.includes(what)) : found;
    // Results of older releases, and those that `custom` takes over.
    if (failed > 0 && !lossy)
      return [reason('max_failed', `${failed} of ${requests} requests failed: ${errors[0] ?? ''}`, failed)];
    if (completed === 0) return [reason('completed', 'no request was completed', 0)];
    return outputTokens === 0 ? [reason('output_tokens', 'no output token arrived', 0)] : [];
  });
}

/** The reasons in one line, or undefined without any. */
export function lineOf(reasons: Reasons, serving: readonly ServingResult[]): string | undefined {
  const [first] = reasons;
  if (!first) return undefined;
  const { text, concurrency } = first;
  const isPartial = serving.some((one) => one.concurrency === concurrency && one.partial);
  const ended = isPartial ? ', which ended the benchmark (stop_when_invalid)' : '';
  const others = reasons.length > 1 ? ` (and ${reasons.length - 1} more)` : '';
  return `${withPlace(text, `${first.what === 'missing' ? ' for' : ' at'} concurrency ${concurrency}${ended}`)}${others}`;
}

/** `3 of 8 requests failed at concurrency 2: HTTP 503` */
function withPlace(text: string, place: string): string {
  const colon = text.indexOf(': ');
  return colon < 0 ? `${text}${place}` : `${text.slice(0, colon)}${place}${text.slice(colon)}`;
}

/** `lineOf` all reasons. */
export const whyNotValid = (
  concurrencies: readonly number[],
  serving: readonly ServingResult[],
  lossy = false,
): string | undefined => lineOf(reasonsOf(concurrencies, serving, lossy), serving);
