import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

/** A process with the recipe's `supervision` settings instead of the defaults of its kind. */
export function supervised(process: ProcessSpec, { supervision }: Recipe): ProcessSpec {
  const { grace, unhealthy_after: unhealthy, hung_after: hung, critical } = supervision;
  const { role } = process;
  // A health check that generates a token fails when the engine hangs, so its failure counts as a hang.
  const generates = process.probe.kind === 'http' && process.probe.generates === true;
  const unhealthySeconds = generates ? Math.min(unhealthy, hung) : unhealthy;
  const serves = role === 'prefill' || role === 'decode' || role === 'agg' || role === 'frontend';
  return {
    ...process,
    ...(grace == null ? {} : { graceMs: Math.round(grace * 1000) }),
    ...(serves ? { unhealthyAfterMs: Math.round(unhealthySeconds * 1000), critical: critical[role] } : {}),
  };
}
