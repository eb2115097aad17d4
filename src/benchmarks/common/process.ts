import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { endingProcess } from '../../model/ending-process.ts';
import type { BenchmarkContext } from './protocol.ts';

/**
 * A benchmark counts as hung this much later than engines, in seconds, because a benchmark without answers is
 * an echo of a hung engine.
 */
const ENGINES_FIRST_S = 30;

/** The common part of all benchmark processes: one on the bench node, expected to end with exit code 0. */
export function benchmarkProcess(
  { recipe, runtime, roles, pointDir }: BenchmarkContext,
  own: Pick<ProcessSpec, 'argv' | 'env'> & Partial<Pick<ProcessSpec, 'files' | 'image'>>,
): ProcessSpec {
  const { hung_after: hungAfter } = recipe.supervision;
  return endingProcess({
    id: 'benchmark',
    role: 'benchmark',
    phase: 'benchmark',
    node: roles.bench,
    cwd: pointDir,
    logFile: `${pointDir}/benchmark.out`,
    image: runtime.image,
    progress: {
      kind: 'output',
      files: [`${pointDir}/benchmark.out`, `${pointDir}/progress.json`],
      counts: `${pointDir}/progress.json`,
      hungAfterMs: Math.round((hungAfter + Math.min(ENGINES_FIRST_S, hungAfter / 2)) * 1000),
    },
    ...own,
  });
}
