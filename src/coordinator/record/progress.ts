import type { JobState } from '../../messages/job-directory/job-files.ts';
import type { SweepProgress } from '../../messages/job-directory/result.ts';

/**
 * How far a sweep is. The expected end assumes that the remaining points take as long as those that have ended.
 * @param ended points that ended in this run, within `elapsedMs`; points of a previous run took no time
 */
export function sweepProgress(
  points: JobState['points'],
  { ended, elapsedMs, now }: { readonly ended: number; readonly elapsedMs: number; readonly now: Date },
): SweepProgress {
  const count = (status: string) => points.filter((point) => point.status === status).length;
  const [done, failed] = [count('done'), count('failed')];
  const left = points.length - done - failed;
  const meanPointMs = ended === 0 ? null : Math.round(elapsedMs / ended);
  const endsAt = meanPointMs === null ? null : new Date(now.getTime() + left * meanPointMs);
  return {
    points: points.length,
    done,
    failed,
    left,
    meanPointMs,
    expectedEndAt: endsAt?.toISOString() ?? null,
  };
}
