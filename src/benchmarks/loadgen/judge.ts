import type { ServingResult } from '../../messages/job-directory/result.ts';

/**
 * Why the figures are invalid, or undefined: every concurrency needs a result, no failed request, and output
 * tokens.
 */
export function whyNotValid(
  concurrencies: readonly number[],
  serving: readonly ServingResult[],
  lossy = false,
): string | undefined {
  for (const concurrency of concurrencies) {
    const result = serving.find((one) => one.concurrency === concurrency);
    if (!result) return `there is no result for concurrency ${concurrency}`;
    const { failed, requests, errors, completed, outputTokens } = result;
    if (result.partial)
      return `a request failed at concurrency ${concurrency}, which ended the benchmark (stop_when_invalid): ${errors[0] ?? ''}`;
    if (failed > 0 && !lossy)
      return `${failed} of ${requests} requests failed at concurrency ${concurrency}: ${errors[0] ?? ''}`;
    if (completed === 0) return `no request was completed at concurrency ${concurrency}`;
    if (outputTokens === 0) return `no output token arrived at concurrency ${concurrency}`;
  }
  return undefined;
}
