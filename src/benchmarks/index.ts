import { benchmarkSchemaOf } from '../recipe/schema/benchmark.ts';
import { accuracyBenchmarks } from './accuracy/protocol.ts';
import type { BenchmarkProtocol } from './common/protocol.ts';
import { custom } from './custom.ts';
import { manual } from './manual.ts';
import { saBench } from './sa-bench.ts';

/**
 * Every benchmark that a recipe may name. A new one is one line here, and its file. A bare name is a
 * benchmark that srtctl cannot run yet; a recipe with it is planned without a benchmark process.
 */
const known: readonly (BenchmarkProtocol | string)[] = [
  manual,
  saBench,
  'sglang-bench',
  custom,
  'mooncake-router',
  'trace-replay',
  'router',
  ...accuracyBenchmarks,
  'agentperf',
];

const benchmarks = known.filter((each) => typeof each !== 'string');

export const benchmarkTypes: readonly string[] = known.map((each) =>
  typeof each === 'string' ? each : each.type,
);

/** The types that srtctl can run. */
export const runnableBenchmarkTypes: readonly string[] = benchmarks.map(({ type }) => type);

/** Benchmarks whose figures can be read while they run. */
export const benchmarksWithFigures = benchmarks.filter(({ leavesFigures }) => leavesFigures);

export const benchmarkSchema = benchmarkSchemaOf(benchmarkTypes);

export const benchmarkFor = (type: string): BenchmarkProtocol | undefined =>
  benchmarks.find((benchmark) => benchmark.type === type);
