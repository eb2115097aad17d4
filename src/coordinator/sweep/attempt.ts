import { ATTEMPT_VARIABLE } from '../../benchmarks/common/seed.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { PlannedPoint } from '../../model/kinds.ts';

/** A point in its nth attempt (from 1). The benchmark knows the number, because it must not send the same prompts again. */
export function ofAttempt(point: PlannedPoint, attempt: number): PlannedPoint {
  const { process, others } = point.benchmark;
  if (attempt === 1 || process === null) return point;
  const inAttempt = (spec: ProcessSpec): ProcessSpec => ({
    ...spec,
    env: { ...spec.env, [ATTEMPT_VARIABLE]: String(attempt) },
  });
  const first = inAttempt(process);
  const later = others?.map(inAttempt);
  const changed = new Map([first, ...(later ?? [])].map((spec) => [spec.id, spec]));
  return {
    ...point,
    processes: point.processes.map((spec) => changed.get(spec.id) ?? spec),
    benchmark: { ...point.benchmark, process: first, ...(later ? { others: later } : {}) },
  };
}
