import type { ProcessSpec, ProgressSpec } from '../../messages/spec/process-spec.ts';
import { endingProcess } from '../../model/ending-process.ts';
import type { BenchmarkContext } from './protocol.ts';

/**
 * A benchmark counts as hung this much later than engines, in seconds, because a benchmark without answers is
 * an echo of a hung engine.
 */
const ENGINES_FIRST_S = 30;

/** What tells several processes of a benchmark apart. */
export interface OwnPlace {
  readonly id?: string;
  readonly node?: string;
  /** Its log without the directory. */
  readonly log?: string;
  /** Directory of its progress.json. */
  readonly progressDir?: string;
}

/** It hangs when neither its output nor its files grow, some time later than a hung engine would be found. */
export function outputProgress(
  { recipe, pointDir }: BenchmarkContext,
  { log = 'benchmark.out', progressDir = pointDir }: OwnPlace = {},
): Extract<ProgressSpec, { kind: 'output' }> {
  const { hung_after: hungAfter } = recipe.supervision;
  return {
    kind: 'output',
    files: [`${pointDir}/${log}`, `${progressDir}/progress.json`],
    hungAfterMs: Math.round((hungAfter + Math.min(ENGINES_FIRST_S, hungAfter / 2)) * 1000),
  };
}

/** The id of a step that looks, before engines load, for what a benchmark needs. */
export const BENCHMARK_CHECK = 'check-benchmark';

/** The common part of all benchmark processes: by default one on the bench node, expected to end with exit code 0. */
export function benchmarkProcess(
  context: BenchmarkContext,
  own: Pick<ProcessSpec, 'argv' | 'env'> & Partial<Pick<ProcessSpec, 'files' | 'image' | 'progress'>>,
  place: OwnPlace = {},
): ProcessSpec {
  const { runtime, roles, pointDir } = context;
  const { id = 'benchmark', node = roles.bench, log = 'benchmark.out', progressDir = pointDir } = place;
  return endingProcess({
    id,
    role: 'benchmark',
    phase: 'benchmark',
    node,
    cwd: pointDir,
    logFile: `${pointDir}/${log}`,
    image: runtime.image,
    progress: { ...outputProgress(context, place), counts: `${progressDir}/progress.json` },
    ...own,
  });
}
