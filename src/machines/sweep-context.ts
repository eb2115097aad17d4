import type { Cause } from '../messages/job-directory/result.ts';
import type { SweepState } from '../messages/spec/states.ts';
import { afterFailure, type FailurePolicy } from './failure-policy.ts';
import { CausedError, type PointInput, type PointOutcome } from './point.ts';
import type { RestartsInput } from './restarts.ts';

/** One attempt at a point, and the handling of its result. */
export interface Attempt {
  readonly point: PointInput;
  /** Writes result.json. The answer may name a better cause, or a failure when the result cannot be written. */
  write(outcome: PointOutcome): Promise<EndedAttempt>;
  /** No further attempt follows: the result is the point's. */
  keep(): Promise<void>;
  /** Another attempt follows: the point is open again, also for a coordinator that takes over. */
  reopen(): Promise<void>;
}

export interface EndedAttempt {
  readonly outcome: PointOutcome;
  /** The attempt lost a node, and a spare node can replace it. */
  readonly canReplaceLost: boolean;
}

/** Whether a point may begin. */
export type GateAnswer =
  | { readonly kind: 'opens'; readonly attempt: Attempt }
  /** The allocation ends before the point can. */
  | { readonly kind: 'too late'; readonly why: string; readonly exitCode: number }
  /** A node is lost for good, and no spare node is left. */
  | { readonly kind: 'crippled'; readonly cause: Cause };

export interface SweepInput {
  /** Ordinals of the points in the order in which they run. */
  readonly ordinals: readonly number[];
  /** How many further points have a valid result from before, and how many have failed. */
  readonly done?: number;
  readonly failed?: number;
  /** The earlier failure, if there was one. */
  readonly cause?: Cause | null;
  readonly policy?: FailurePolicy;
  /** Restarts of workers under the previous coordinator. */
  readonly restarts?: RestartsInput | undefined;
}

export interface SweepContext {
  /** Ordinals of the points that are still to run, the current one first. */
  readonly left: readonly number[];
  readonly policy: FailurePolicy;
  readonly restarts: RestartsInput | undefined;
  /** Points with a valid result, and points that failed in their last attempt. */
  readonly done: number;
  readonly failed: number;
  /** The last attempt that the gate let begin, and its outcome as the machine saw it. */
  readonly attempt: Attempt | null;
  readonly outcome: PointOutcome | null;
  /** Causes of the current point's failed attempts. An attempt that lost a node is not one of them. */
  readonly failures: readonly Cause[];
  /** Why the current point is tried again; null: it has not been tried, or is over. */
  readonly retry: Retry | null;
  /** A point failed, and the policy is to run no further point. */
  readonly aborted: boolean;
  readonly why: string;
  /** The first thing that went wrong, in any point or beside them. */
  readonly cause: Cause | null;
  /** Exit code of the first point that failed with one of its own. */
  readonly failedCode: number | null;
  /** Exit code asked for by a signal or a cancel; null = not interrupted. */
  readonly interruptCode: number | null;
  /** No further point can run, because an agent or the bus is gone. */
  readonly crippled: boolean;
  /** The run was interrupted or crippled. Stays true when a point completes by being stopped. */
  readonly stopping: boolean;
  /** The last state that was reported to the record. */
  readonly told: SweepState;
  readonly unexpected: readonly string[];
}

/** The policy (`sweep.on_failure`) asks for another attempt, or a spare node has replaced a lost one. */
export type Retry = 'policy' | 'lost node';

export const mustEnd = ({ interruptCode, crippled, aborted }: SweepContext): boolean =>
  interruptCode !== null || crippled || aborted;

export const afterError = ({ cause }: SweepContext, error: unknown): Partial<SweepContext> => ({
  crippled: true,
  cause: cause ?? causeOfError(error),
  why: causeOfError(error).summary,
});

export function afterGate(context: SweepContext, answer: GateAnswer): Partial<SweepContext> {
  switch (answer.kind) {
    case 'opens':
      return { attempt: answer.attempt, retry: null };
    case 'too late':
      return { interruptCode: answer.exitCode, stopping: true, why: answer.why };
    case 'crippled':
      return {
        crippled: true,
        stopping: true,
        cause: context.cause ?? answer.cause,
        why: answer.cause.summary,
      };
  }
}

export function afterPoint(context: SweepContext, outcome: PointOutcome): Partial<SweepContext> {
  const { status, cause, result } = outcome;
  const left = context.left.slice(1);
  // Stopping a `manual` point completes it; stopping the last one completes the run.
  if (status === 'done' && left.length === 0 && result?.type === 'manual')
    return { left, done: context.done + 1, failures: [], interruptCode: null };
  if (status === 'done') return { left, done: context.done + 1, failures: [] };
  const failedCode = context.failedCode ?? outcome.exitCode ?? null;
  const over = { left, failed: context.failed + 1, failures: [], cause: context.cause ?? cause, failedCode };
  if (status === 'interrupted' || cause === null) return over;
  return afterFailure(context.policy, [...context.failures, cause]) === 'abort'
    ? { ...over, aborted: true, why: 'a point failed, and on_failure is abort' }
    : over;
}

/** 3: every point had its turn, and some are done. */
export function exitCodeOf(context: SweepContext): number {
  const { interruptCode, cause, crippled, aborted, done, failed, failedCode } = context;
  if (interruptCode !== null) return interruptCode;
  if (failed > 0 && done > 0 && !crippled && !aborted) return 3;
  return cause !== null || failed > 0 ? (failedCode ?? 1) : 0;
}

const causeOfError = (error: unknown): Cause =>
  error instanceof CausedError
    ? error.causeOf
    : { summary: error instanceof Error ? error.message : String(error) };

/** A point that was to be tried again, and will not be, has failed. */
export const withoutRetry = ({ left, failed, failures, cause }: SweepContext): Partial<SweepContext> => ({
  left: left.slice(1),
  failed: failed + 1,
  failures: [],
  retry: null,
  cause: cause ?? failures.at(-1) ?? null,
});
