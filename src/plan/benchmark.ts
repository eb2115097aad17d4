import { benchmarkFor } from '../benchmarks/index.ts';
import type { BenchmarkContext } from '../benchmarks/protocol.ts';
import type { PlannedBenchmark } from './kinds.ts';

/** A type that cannot run yet is planned without a process; `apply` refuses it before anything is started. */
export function planBenchmark(context: BenchmarkContext): PlannedBenchmark {
  const { type } = context.recipe.benchmark;
  return benchmarkFor(type)?.plan(context) ?? { type, process: null, resultDir: context.pointDir };
}
