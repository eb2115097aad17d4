import { afterFailure } from './failure-policy.ts';
import type { EndedAttempt, Retry, SweepContext } from './sweep-context.ts';

/** Why a point is tried again; null: it is over. An attempt that lost a node does not count for the policy. */
export function retryOf(context: SweepContext, { outcome, canReplaceLost }: EndedAttempt): Retry | null {
  const { status, cause } = outcome;
  if (status !== 'failed') return null;
  if (canReplaceLost && !context.stopping) return 'lost node';
  if (cause === null) return null;
  return afterFailure(context.policy, [...context.failures, cause]) === 'retry' ? 'policy' : null;
}

/** A failed attempt is not the point's end while another follows, and is then not a cause of the run's failure. */
export function beforeRetry(context: SweepContext, ended: EndedAttempt): Partial<SweepContext> {
  const retry = retryOf(context, ended);
  const { cause } = ended.outcome;
  if (retry === 'lost node' || cause === null) return { retry };
  return { retry, failures: [...context.failures, cause] };
}
