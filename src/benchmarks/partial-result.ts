import type { BenchmarkResult } from '../messages/job-directory/result.ts';
import type { PlannedBenchmark } from '../model/kinds.ts';
import { benchmarkFor, benchmarksWithFigures } from './index.ts';

/**
 * The figures of a benchmark that did not finish: stopped, killed, or still running. Never valid; null when
 * there are none. Never rejects, because it is read after another failure.
 */
export async function partialResult(planned: PlannedBenchmark): Promise<BenchmarkResult | null> {
  const result = await benchmarkFor(planned.type)
    ?.readResult(planned)
    .catch(() => null);
  if (!result || result.serving.length === 0) return null;
  const { length } = result.serving;
  const figures = `the figures of ${length} ${length === 1 ? 'concurrency' : 'concurrencies'}`;
  const reason = `the benchmark did not finish: ${figures} that it completed are kept`;
  return { ...result, valid: false, partial: true, reason };
}

/** The figures in the directory of a point without a result, for any benchmark; null when there are none. */
export async function unfinishedResult(resultDir: string): Promise<BenchmarkResult | null> {
  for (const { type } of benchmarksWithFigures) {
    const result = await partialResult({ type, process: null, resultDir });
    if (result) return result;
  }
  return null;
}
