import type { ProcessSpec, ProgressSpec } from '../../messages/spec/process-spec.ts';
import { endingProcess } from '../../model/ending-process.ts';
import type { BenchmarkContext } from './protocol.ts';

/**
 * A benchmark counts as hung this much later than engines, in seconds, because a benchmark without answers is
 * an echo of a hung engine.
 */
const ENGINES_FIRST_S = 30;

/** It hangs when neither its output nor its files grow, some time later than a hung engine would be found. */
export function outputProgress({
  recipe,
  pointDir,
}: BenchmarkContext): Extract<ProgressSpec, { kind: 'output' }> {
  const { hung_after: hungAfter } = recipe.supervision;
  return {
    kind: 'output',
    files: [`${pointDir}/benchmark.out`, `${pointDir}/progress.json`],
    hungAfterMs: Math.round((hungAfter + Math.min(ENGINES_FIRST_S, hungAfter / 2)) * 1000),
  };
}

/** The common part of all benchmark processes: one on the bench node, expected to end with exit code 0. */
export function benchmarkProcess(
  context: BenchmarkContext,
  own: Pick<ProcessSpec, 'argv' | 'env'> & Partial<Pick<ProcessSpec, 'files' | 'image' | 'progress'>>,
): ProcessSpec {
  const { runtime, roles, pointDir } = context;
  return endingProcess({
    id: 'benchmark',
    role: 'benchmark',
    phase: 'benchmark',
    node: roles.bench,
    cwd: pointDir,
    logFile: `${pointDir}/benchmark.out`,
    image: runtime.image,
    progress: { ...outputProgress(context), counts: `${pointDir}/progress.json` },
    ...own,
  });
}
