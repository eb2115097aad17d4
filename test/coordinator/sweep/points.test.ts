import { beforeEach, describe, expect, it } from 'vitest';
import { Points } from '../../../src/coordinator/sweep/points.ts';
import type { EventBody } from '../../../src/messages/events/events.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import type { JobState, StateChange } from '../../../src/messages/job-directory/job-files.ts';
import type { BenchmarkProgress, PointResult } from '../../../src/messages/job-directory/result.ts';

const s = subjectsOf('points-test');

const PROGRESS: BenchmarkProgress = {
  ...{ stage: 'measure', concurrency: 4, step: 1, steps: 1, requestsDone: 8, requestsTotal: 8 },
  ...{ failed: 0, outputThroughput: 100 },
};

let state: { points: JobState['points'] };
let sent: EventBody[];
let saved: StateChange[];
let appended: PointResult[];
let published: unknown[];
let appending: () => Promise<void>;
let defects: string[];

const resultOf = (over: Partial<PointResult> = {}): PointResult => ({
  ...{ v: 1, job: '7', ordinal: 1, name: 'second', params: null, attempt: 1, status: 'done' },
  ...{ startedAt: '2026-01-01T00:00:00.000Z', benchmarkStartedAt: null },
  finishedAt: '2026-01-01T00:01:00.000Z',
  ...{ caches: null, benchmark: null, cause: null },
  ...over,
});

function createPoints(points: JobState['points']): Points {
  state = { points };
  return new Points({
    record: {
      state,
      save: (change) => {
        saved.push(change);
        for (const point of change.points ?? [])
          state.points = state.points.map((each) => (each.ordinal === point.ordinal ? point : each));
      },
      saved: async () => {},
      send: (body) => void sent.push(body),
      defect: (what) => void defects.push(what),
    },
    results: {
      begin: async (results) => void appended.push(...results),
      append: async (result) => {
        await appending();
        appended.push(result);
      },
    },
    bus: { publish: (_, message) => void published.push(message) },
    ...{ subjects: s, clock: { date: () => new Date(0) }, log: { info: () => {} } },
  });
}

const two: JobState['points'] = [
  { ordinal: 0, name: 'first', state: 'planned', status: null },
  { ordinal: 1, name: 'second', state: 'planned', status: null },
];

beforeEach(() => {
  sent = [];
  saved = [];
  appended = [];
  published = [];
  defects = [];
  appending = async () => {};
});

describe('a transition of a point', () => {
  it('is in the events and in state.json, open until its result is on disk', () => {
    const points = createPoints(two);
    points.moved({
      ...{ type: 'point.moved', ordinal: 1, name: 'second', attempt: 1, from: 'collecting', to: 'done' },
      ...{ why: 'the result is valid', cause: null },
    });
    expect(sent).toMatchObject([{ kind: 'point.transition', ordinal: 1, from: 'collecting', to: 'done' }]);
    expect(state.points).toEqual([two[0], { ...two[1], state: 'done', status: null }]);
  });

  it('names the number of the attempt from the second attempt on', () => {
    const points = createPoints(two);
    points.moved({
      ...{ type: 'point.moved', ordinal: 1, name: 'second', attempt: 2, from: null, to: 'planned' },
      ...{ why: 'planned', cause: null },
    });
    expect(state.points[1]).toEqual({ ...two[1], attempts: 2 });
  });
});

describe('the number of the next attempt', () => {
  it('counts those of the previous run, and does not change for an attempt that goes on', () => {
    const points = createPoints([
      { ordinal: 0, name: 'never begun', state: 'planned', status: null },
      { ordinal: 1, name: 'was running', state: 'benchmarking', status: null },
      { ordinal: 2, name: 'was to be tried again', state: 'planned', status: null, attempts: 2 },
    ]);
    expect([0, 1, 2].map((ordinal) => points.attemptOf(ordinal, { goesOn: false }))).toEqual([1, 2, 3]);
    expect(points.attemptOf(1, { goesOn: true })).toBe(1);
    expect(points.attemptOf(2, { goesOn: true })).toBe(2);
  });
});

describe('a result', () => {
  it('that is kept is in state.json and results.jsonl, and moves the sweep on', async () => {
    const points = createPoints(two);
    points.begins(0);
    points.ended(resultOf());
    await points.keep(resultOf());
    expect(state.points[1]).toMatchObject({ state: 'done', status: 'done', tookMs: 60_000 });
    expect(appended).toEqual([resultOf()]);
    expect(sent.map(({ kind }) => kind)).toEqual(['point.result', 'sweep.progress']);
    expect(saved.at(-1)?.progress).toMatchObject({ points: 2, done: 1, left: 1 });
  });

  it('is not published as progress for a job with a single point or for an interrupted point', async () => {
    const single = createPoints([{ ordinal: 1, name: 'second', state: 'planned', status: null }]);
    await single.keep(resultOf());
    await createPoints(two).keep(resultOf({ status: 'interrupted' }));
    expect(sent).toEqual([]);
  });

  it('leaves the point open when another attempt follows', async () => {
    const points = createPoints(two);
    await points.reopen(resultOf({ status: 'failed', attempt: 2, cause: { summary: 'x' } }));
    expect(state.points[1]).toEqual({ ...two[1], attempts: 2 });
    expect(appended).toEqual([]);
  });

  it('is reported when results.jsonl cannot be written, and the run goes on', async () => {
    const points = createPoints(two);
    points.begins(0);
    appending = () => Promise.reject(new Error('no space'));
    await points.keep(resultOf());
    expect(defects).toEqual(['results.jsonl cannot be written']);
    expect(state.points[1]).toMatchObject({ status: 'done' });
  });
});

it('results from before the job are published as if their points had just ended, unless the job’s events contain them', async () => {
  await createPoints(two).begin([resultOf()], { announce: false });
  expect(sent).toEqual([]);
  await createPoints(two).begin([resultOf()], { announce: true });
  expect(sent).toMatchObject([
    { kind: 'point.transition', ordinal: 1, to: 'done', why: 'has a result, of job 7' },
    { kind: 'point.result', ordinal: 1 },
  ]);
});

it('the progress of a benchmark is published, and not kept', () => {
  createPoints(two).progress(1, PROGRESS);
  expect(published).toEqual([{ v: 1, ordinal: 1, at: '1970-01-01T00:00:00.000Z', progress: PROGRESS }]);
  expect([sent, saved]).toEqual([[], []]);
});
