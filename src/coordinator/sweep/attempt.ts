import { ATTEMPT_VARIABLE } from '../../benchmarks/common/seed.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { PlannedPoint } from '../../model/kinds.ts';

/** A point in its nth attempt (from 1). The benchmark knows the number, because it must not send the same prompts again. */
export function ofAttempt(point: PlannedPoint, attempt: number): PlannedPoint {
  const { process, others } = point.benchmark;
  if (attempt === 1 || process === null) return point;
  const told = (spec: ProcessSpec): ProcessSpec => ({
    ...spec,
    env: { ...spec.env, [ATTEMPT_VARIABLE]: String(attempt) },
  });
  const ids = new Set([process, ...(others ?? [])].map(({ id }) => id));
  return {
    ...point,
    processes: point.processes.map((spec) => (ids.has(spec.id) ? told(spec) : spec)),
    benchmark: {
      ...point.benchmark,
      process: told(process),
      ...(others ? { others: others.map(told) } : {}),
    },
  };
}
