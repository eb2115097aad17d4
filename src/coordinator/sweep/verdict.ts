import type { BenchmarkResult, Cause, WorkerRestart } from '../../messages/job-directory/result.ts';
import { EXIT } from '../../os/errors.ts';

/** Node fires a longer timer at once. */
const MOST_TIMER_MS = 2 ** 31 - 1;
/** Exit codes from here on mean a signal, to a shell and to those who start a coordinator again. */
const SIGNALLED = 128;

/** An exit code that a job can have too; 1 for a signal and for codes with a meaning of their own in srtctl. */
export const exitCodeOf = ({ exitCode }: Cause): number =>
  exitCode == null || exitCode <= 0 || exitCode >= SIGNALLED || exitCode === EXIT.broke
    ? EXIT.failed
    : exitCode;

/** The one with the highest exit code. */
export const worstOf = (causes: readonly Cause[]): Cause | undefined =>
  [...causes].sort((a, b) => exitCodeOf(b) - exitCodeOf(a))[0];

/** An experiment is not valid without its faults. */
export function withoutKills(missing: readonly string[], result: BenchmarkResult): BenchmarkResult {
  if (missing.length === 0 || result.valid === false) return result;
  const reason = missing.join('; ');
  return {
    ...result,
    valid: false,
    reason,
    reasons: withReason(result, 'worker_kills', reason, missing.length),
  };
}

/** Figures are not valid when a worker was away while they were measured. */
export function disturbedBy(restarts: readonly WorkerRestart[], result: BenchmarkResult): BenchmarkResult {
  const [first] = restarts;
  if (!first) return result;
  const others = restarts.length > 1 ? `, and ${restarts.length - 1} further restarts` : '';
  const says = `a worker started again while requests were measured: ${first.why}${others} (experiment.accept_restarts allows that)`;
  const reason = result.valid === false ? `${says}; ${result.reason ?? 'the result is not valid'}` : says;
  const reasons = withReason(result, 'worker_restarts', says, restarts.length);
  return { ...result, valid: false, reason, reasons };
}

/** A reason that no single concurrency has is the first one. */
function withReason(
  { reasons = [] }: BenchmarkResult,
  what: string,
  text: string,
  value: number,
): NonNullable<BenchmarkResult['reasons']> {
  return [{ what, text, limit: 0, value }, ...reasons];
}

/** `ranMs`: how long the point has run under the previous coordinator. */
export function limitOf(limitMs: number, ranMs: number): { ms: number; cause: Cause } {
  const summary = `the point took longer than its time limit of ${limitMs / 1_000} s (sweep.point_time_limit)`;
  return { ms: Math.min(Math.max(limitMs - ranMs, 0), MOST_TIMER_MS), cause: { summary } };
}
