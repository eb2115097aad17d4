import type { BenchmarkContext } from '../benchmarks/protocol.ts';
import type { PlannedBenchmark } from './kinds.ts';

export function planBenchmark({ recipe, pointDir }: BenchmarkContext): PlannedBenchmark {
  return { type: recipe.benchmark.type, process: null, resultDir: pointDir };
}
