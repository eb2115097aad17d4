import type { BenchmarkProtocol } from './common/protocol.ts';
import { custom } from './custom.ts';
import { manual } from './manual.ts';
import { saBench } from './sa-bench.ts';

/** The benchmarks that srtctl can run. */
const benchmarks: readonly BenchmarkProtocol[] = [saBench, custom, manual];

export const benchmarkFor = (type: string): BenchmarkProtocol | undefined =>
  benchmarks.find((benchmark) => benchmark.type === type);
