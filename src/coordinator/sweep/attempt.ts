import { ATTEMPT_VARIABLE } from '../../benchmarks/common/seed.ts';
import type { PlannedPoint } from '../../model/kinds.ts';

/** A point in its nth attempt (from 1). The benchmark knows the number, because it must not send the same prompts again. */
export function ofAttempt(point: PlannedPoint, attempt: number): PlannedPoint {
  const { process } = point.benchmark;
  if (attempt === 1 || process === null) return point;
  const told = { ...process, env: { ...process.env, [ATTEMPT_VARIABLE]: String(attempt) } };
  return {
    ...point,
    processes: point.processes.map((spec) => (spec.id === process.id ? told : spec)),
    benchmark: { ...point.benchmark, process: told },
  };
}
