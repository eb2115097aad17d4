import type { ServingResult } from '../../messages/job-directory/result.ts';

/** What is wrong with the figures, or undefined: every concurrency is there, no request failed, tokens came out. */
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
    if (outputTokens === 0) return `not one output token came at concurrency ${concurrency}`;
  }
  return undefined;
}
