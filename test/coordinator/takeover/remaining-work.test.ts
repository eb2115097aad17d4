import { describe, expect, it } from 'vitest';
import { remainingWork } from '../../../src/coordinator/takeover/remaining-work.ts';
import type { SrtEvent } from '../../../src/messages/events/events.ts';
import type { JobState } from '../../../src/messages/job-directory/job-files.ts';
import type { Cause } from '../../../src/messages/job-directory/result.ts';
import type { PointState } from '../../../src/messages/spec/states.ts';

let seq = 0;
const at = (second: number): string => new Date(second * 1_000).toISOString();
const point = (
  ordinal: number,
  from: PointState | null,
  to: PointState,
  second: number,
  cause: Cause | null = null,
): SrtEvent => ({
  kind: 'point.transition',
  v: 1,
  at: at(second),
  source: 'coordinator:1',
  seq: ++seq,
  ordinal,
  name: `p${ordinal}`,
  from,
  to,
  why: 'test',
  cause,
});
const result = (ordinal: number, second: number): SrtEvent => ({
  kind: 'point.result',
  v: 1,
  at: at(second),
  source: 'coordinator:1',
  seq: ++seq,
  ordinal,
  result: {
    v: 1,
    job: 'j',
    ordinal,
    name: `p${ordinal}`,
    params: null,
    attempt: 1,
    status: 'failed',
    startedAt: at(0),
    benchmarkStartedAt: null,
    finishedAt: at(second),
    caches: null,
    benchmark: null,
    cause: { summary: 'test' },
  },
});
const stateWith = (states: readonly PointState[], over: Partial<JobState> = {}): JobState => ({
  v: 1,
  jobId: 'j',
  name: 'j',
  epoch: 1,
  generation: 5,
  streamSeq: 7,
  coordinatorPid: 1,
  updatedAt: at(0),
  sweep: 'running',
  exitCode: null,
  points: states.map((state, ordinal) => ({
    ordinal,
    name: `p${ordinal}`,
    state,
    status: state === 'done' || state === 'failed' || state === 'interrupted' ? state : null,
  })),
  cause: null,
  ...over,
});

describe('a coordinator that takes over', () => {
  it('continues with the point that ran, then with the points that did not run, and skips those that ended', () => {
    const events = [
      point(1, null, 'deploying', 10),
      point(1, 'deploying', 'warming', 20),
      point(1, 'warming', 'benchmarking', 30),
    ];
    const found = remainingWork(stateWith(['done', 'benchmarking', 'planned']), events);
    expect(found).toMatchObject({ left: [1, 2], exitCode: null });
    expect(found.running).toEqual({
      ordinal: 1,
      attempt: 1,
      startedAt: new Date(10_000),
      benchmarkStartedAt: new Date(30_000),
      cause: null,
    });
  });

  it('keeps the first begin of a benchmark that outlived two coordinators, and ignores earlier attempts', () => {
    const events = [
      point(0, null, 'deploying', 1),
      point(0, 'deploying', 'benchmarking', 2),
      point(0, 'cleaning', 'failed', 3),
      result(0, 4),
      point(0, null, 'deploying', 10),
      point(0, 'warming', 'benchmarking', 20),
      point(0, null, 'deploying', 30),
      point(0, 'warming', 'benchmarking', 40),
    ];
    const { running } = remainingWork(stateWith(['benchmarking']), events);
    expect(running).toMatchObject({ startedAt: new Date(10_000), benchmarkStartedAt: new Date(20_000) });
  });

  it('continues the cleanup of a failed point, and knows its cause', () => {
    const cause = { summary: 'decode-0-0 failed' };
    const events = [point(0, null, 'deploying', 1), point(0, 'deploying', 'cleaning', 2, cause)];
    expect(remainingWork(stateWith(['cleaning', 'planned']), events)).toMatchObject({
      left: [0, 1],
      running: { cause },
    });
  });

  it('starts no point in a run that was being stopped', () => {
    const events = [point(0, null, 'deploying', 1), point(0, 'deploying', 'cleaning', 2)];
    expect(remainingWork(stateWith(['cleaning', 'planned']), events)).toMatchObject({
      left: [],
      exitCode: 143,
    });
    expect(remainingWork(stateWith(['done', 'planned'], { sweep: 'cleaning' }), [])).toMatchObject({
      left: [],
      exitCode: 143,
    });
  });

  it('ends with 1 when a failed point was to be the last', () => {
    const cause = { summary: 'decode-0-0 failed' };
    const state = stateWith(['done', 'failed', 'planned'], { sweep: 'cleaning', cause });
    expect(remainingWork(state, [])).toMatchObject({ left: [], exitCode: 1 });
  });

  it('continues with a point that had ended but whose result was not published', () => {
    const state = stateWith(['done', 'planned']);
    const open = { ...state, points: state.points.map((point) => ({ ...point, status: null })) };
    const events = [
      point(0, null, 'deploying', 1),
      point(0, 'warming', 'benchmarking', 2),
      point(0, 'cleaning', 'done', 3),
    ];
    expect(remainingWork(open, events)).toMatchObject({
      left: [0, 1],
      running: { startedAt: new Date(1_000), benchmarkStartedAt: new Date(2_000) },
    });
  });

  it('begins a point anew that was to be tried again', () => {
    const state = stateWith(['done', 'planned', 'planned']);
    const events = [point(1, null, 'deploying', 1), point(1, 'cleaning', 'failed', 2), result(1, 3)];
    expect(remainingWork(state, events)).toMatchObject({ left: [1, 2], running: null });
  });

  it('does not run a failed point again', () => {
    expect(remainingWork(stateWith(['failed', 'planned']), [])).toMatchObject({ left: [1], exitCode: null });
  });
});
