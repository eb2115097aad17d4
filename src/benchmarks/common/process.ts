import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { BenchmarkContext } from './protocol.ts';

const GRACE_MS = 5_000;
/** The process is ready when it runs, so this only limits the spawn. */
const START_TIMEOUT_MS = 60_000;

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
  return {
    id: 'benchmark',
    role: 'benchmark',
    phase: 'benchmark',
    node: roles.bench,
    cwd: pointDir,
    logFile: `${pointDir}/benchmark.out`,
    gpus: [],
    image: runtime.image,
    ports: {},
    probe: { kind: 'running' },
    progress: {
      kind: 'output',
      files: [`${pointDir}/benchmark.out`, `${pointDir}/progress.json`],
      counts: `${pointDir}/progress.json`,
      hungAfterMs: Math.round((hungAfter + Math.min(ENGINES_FIRST_S, hungAfter / 2)) * 1000),
    },
    critical: true,
    terminates: true,
    startTimeoutMs: START_TIMEOUT_MS,
    graceMs: GRACE_MS,
    unhealthyAfterMs: START_TIMEOUT_MS,
    ...own,
  };
}
