import type { JobState } from '../../messages/job-directory/job-files.ts';
import type { SweepProgress } from '../../messages/job-directory/result.ts';

/**
 * How far a sweep is. The end is expected as if the points that are left took as long as those that ended so far.
 * @param ended points that ended in this run, within `elapsedMs`; those from a run before took no time
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
