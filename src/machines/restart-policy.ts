import type { RestartPolicy } from '../messages/spec/process-spec.ts';

/** What follows the end of a worker's process. */
export type AfterEnd =
  /** It starts again after `delayMs`; `number` counts from 1. */
  | { readonly is: 'restart'; readonly number: number; readonly delayMs: number }
  /** It does not start again. */
  | { readonly is: 'over'; readonly why: string };

/**
 * Decides what follows when a process of an endpoint ends while it is wanted (`roles.<mode>.restart`). `before`: how often
 * the endpoint has started again. `clean`: the process ended by itself, with exit code 0.
 */
export function afterEnd(policy: RestartPolicy, before: number, clean: boolean): AfterEnd {
  if (clean && policy.when === 'on-failure')
    return { is: 'over', why: 'it ended with exit code 0, and restart is on-failure' };
  if (before >= policy.most)
    return {
      is: 'over',
      why: `it has started again ${before} of ${policy.most} ${policy.most === 1 ? 'time' : 'times'} (max_restarts)`,
    };
  const delayMs = Math.min(policy.backoffMs * 2 ** before, policy.mostBackoffMs);
  return { is: 'restart', number: before + 1, delayMs };
}
