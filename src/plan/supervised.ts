import type { ProcessSpec } from '../messages/process-spec.ts';
import type { Recipe } from '../recipe/schema.ts';

/** A process with what the recipe's `supervision` says of how it is watched and ended, in place of what suits its kind. */
export function supervised(process: ProcessSpec, { supervision }: Recipe): ProcessSpec {
  const { grace, unhealthy_after: unhealthy, critical } = supervision;
  const { role } = process;
  const serves = role === 'prefill' || role === 'decode' || role === 'agg' || role === 'frontend';
  return {
    ...process,
    ...(grace == null ? {} : { graceMs: Math.round(grace * 1000) }),
    ...(serves ? { unhealthyAfterMs: Math.round(unhealthy * 1000), critical: critical[role] } : {}),
  };
}
