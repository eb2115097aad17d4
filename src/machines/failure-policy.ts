import type { Cause } from '../messages/job-directory/result.ts';

/** The decision after a failed point (`sweep.on_failure`). */
export interface FailurePolicy {
  readonly onFailure: 'continue' | 'abort' | 'retry';
  /** How often a failed point is tried again. */
  readonly retries: number;
  readonly pauseMs: number;
}

export const CONTINUE: FailurePolicy = { onFailure: 'continue', retries: 0, pauseMs: 0 };

/** The policy of `sweep.on_failure`, which has its pause in seconds. */
export const failurePolicy = (
  setting: 'continue' | 'abort' | { readonly retry: number; readonly pause: number },
): FailurePolicy =>
  typeof setting === 'string'
    ? { onFailure: setting, retries: 0, pauseMs: 0 }
    : { onFailure: 'retry', retries: setting.retry, pauseMs: setting.pause * 1_000 };

/**
 * Decides what follows a failed attempt at a point. `failures` are the causes of all its attempts, in order. A point
 * that failed twice in the same way is not tried again, because it would fail a third time.
 */
export function afterFailure(policy: FailurePolicy, failures: readonly Cause[]): 'next' | 'abort' | 'retry' {
  if (policy.onFailure !== 'retry') return policy.onFailure === 'abort' ? 'abort' : 'next';
  if (failures.length > policy.retries) return 'next';
  const [before, last] = failures.slice(-2);
  return before && last && isSameFailure(before, last) ? 'next' : 'retry';
}

/** true when two failures are of one kind: the same known failure, or the same text apart from numbers and names. */
export function isSameFailure(a: Cause, b: Cause): boolean {
  if (a.signature !== undefined || b.signature !== undefined) return a.signature === b.signature;
  if ((a.signal ?? null) !== (b.signal ?? null) || (a.exitCode ?? null) !== (b.exitCode ?? null))
    return false;
  if (a.error !== undefined && b.error !== undefined) return kindOf(a.error, a) === kindOf(b.error, b);
  return kindOf(a.summary, a) === kindOf(b.summary, b);
}

/** A text without the parts that differ each time: node, addresses, dates, pids, ports, counts. */
function kindOf(text: string, { node }: Cause): string {
  const placeless = node === undefined ? text : text.replaceAll(node, '<node>');
  return placeless
    .replaceAll(/\b0x[\da-f]+\b/gi, '#')
    .replaceAll(/\b(?=[\da-f-]*\d)[\da-f]{8,}(?:-[\da-f]+)*\b/gi, '#')
    .replaceAll(/\d+(?:[.,:]\d+)*/g, '#')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .toLowerCase();
}
