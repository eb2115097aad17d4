import type { BenchmarkResult } from '../messages/job-directory/result.ts';
import type { PlannedBenchmark } from '../model/kinds.ts';
import { benchmarkFor, benchmarksWithFigures } from './index.ts';

/**
 * The figures that a benchmark left which did not come to its end: stopped, killed, or still running. Never valid; null
 * when there are none. Never rejects, because it is read after something else went wrong.
 */
export async function partialResult(planned: PlannedBenchmark): Promise<BenchmarkResult | null> {
  const result = await benchmarkFor(planned.type)
    ?.readResult(planned)
    .catch(() => null);
  if (!result || result.serving.length === 0) return null;
  const { length } = result.serving;
  const figures = `the figures of ${length} ${length === 1 ? 'concurrency' : 'concurrencies'}`;
  const reason = `the benchmark did not come to its end: ${figures} that it finished are kept`;
  return { ...result, valid: false, partial: true, reason };
}

/** The figures in the directory of a point that has no result yet, whatever its benchmark; null when there are none. */
export async function unfinishedResult(resultDir: string): Promise<BenchmarkResult | null> {
  for (const { type } of benchmarksWithFigures) {
    const result = await partialResult({ type, process: null, resultDir });
    if (result) return result;
  }
  return null;
}
