import { expect, it } from 'vitest';
import { sweepProgress } from '../../../src/coordinator/record/progress.ts';
import type { JobState } from '../../../src/messages/job-directory/job-files.ts';

const now = new Date('2026-01-02T03:00:00.000Z');
const points = (...statuses: ('done' | 'failed' | null)[]): JobState['points'] =>
  statuses.map((status, ordinal) => ({ ordinal, name: `p${ordinal}`, state: status ?? 'planned', status }));

it('the expected end of a sweep follows from the points of this run, without those of a previous run', () => {
  const progress = sweepProgress(points('done', 'done', 'failed', null, null), {
    ended: 2,
    elapsedMs: 60_000,
    now,
  });
  expect(progress).toEqual({
    points: 5,
    done: 2,
    failed: 1,
    left: 2,
    meanPointMs: 30_000,
    expectedEndAt: '2026-01-02T03:01:00.000Z',
  });
});

it('no end is expected before the first point has ended', () => {
  const progress = sweepProgress(points(null, null), { ended: 0, elapsedMs: 500, now });
  expect(progress).toMatchObject({ left: 2, meanPointMs: null, expectedEndAt: null });
});
