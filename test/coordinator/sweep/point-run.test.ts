import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PointRunParts, PointRuns } from '../../../src/coordinator/sweep/point-run.ts';
import type { InterruptedPoint } from '../../../src/coordinator/takeover/remaining-work.ts';
import { CausedError, type PointOutcome } from '../../../src/machines/point.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import type {
  BenchmarkProgress,
  Cause,
  PointResult,
  WorkerRestart,
} from '../../../src/messages/job-directory/result.ts';
import type { PlannedPoint } from '../../../src/model/kinds.ts';
import { specOf } from '../../support/spec.ts';

const WORKER = specOf({ id: 'agg-0-0' });
const ROUTER = specOf({ id: 'router', role: 'frontend', phase: 'frontend' });
const BENCHMARK = specOf({ id: 'benchmark', role: 'benchmark', phase: 'benchmark', terminates: true });
const PROGRESS: BenchmarkProgress = {
  ...{ stage: 'measure', concurrency: 4, step: 1, steps: 1, requestsDone: 8, requestsTotal: 8 },
  ...{ failed: 0, outputThroughput: 100 },
};
const NOW = Date.parse('2026-01-01T12:00:00Z');

let dir: string;
let did: string[];
let took: number[];
let progress: BenchmarkProgress[];
let lost: Cause[];
let restarts: WorkerRestart[];
let benchmark: () => Promise<void>;
let ends: Cause[];
let parts: PointRunParts;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-point-run-'));
  did = [];
  took = [];
  progress = [];
  lost = [];
  restarts = [];
  benchmark = async () => {};
  ends = [];
  parts = {
    serveOnly: false,
    jobId: '7',
    clock: { now: () => NOW, date: () => new Date(NOW) },
    fleet: {
      deploy: async (specs, phase) => void did.push(`deploy ${phase} ${specs.length}`),
      isWanted: () => true,
      completed: () => benchmark(),
      ended: async () => ends,
      losses: async () => lost,
      sick: () => [],
      running: () => undefined,
      withTail: async (cause) => ({ ...cause, logTail: ['the last line'] }),
    },
    restarts: { since: () => restarts },
    points: {
      attemptOf: (_, { goesOn }) => (goesOn ? 1 : 2),
      begins: (ms) => void did.push(`begins after ${ms}`),
      progress: (_, news) => void progress.push(news),
      ended: ({ status }) => void did.push(`ended ${status}`),
      keep: async ({ status }) => void did.push(`keep ${status}`),
      reopen: async ({ attempt }) => void did.push(`reopen after attempt ${attempt}`),
    },
    explainer: { explain: async (_, told) => ({ ...told, signature: 'explained' }) },
    replacements: { canReplaceLost: ({ lostBefore }) => lostBefore },
    timeBudget: { took: (ms) => took.push(ms) },
    epochLock: { check: () => {} },
    record: { defect: (what) => void did.push(`defect: ${what}`), send: () => {} },
    bus: { request: () => Promise.reject(new Error('no bus')) },
    subjects: subjectsOf('7'),
    killsBefore: [],
    log: { info: () => {}, warn: () => {} },
    pointDir: (ordinal, name) => join(dir, `${ordinal}-${name}`),
    notDone: () => ['profiling: is not supported'],
    timeLimitMs: 60_000,
  };
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const planned = (process: PlannedPoint['benchmark']['process'] = BENCHMARK) =>
  ({
    ...{
      ordinal: 3,
      name: 'p',
      params: { concurrency: 4 },
      recipe: { name: 'r', benchmark: {} },
      rest: [],
      services: [],
    },
    processes: [WORKER, ROUTER, ...(process ? [process] : [])],
    benchmark: { type: 'manual', process, resultDir: dir },
  }) as unknown as PlannedPoint;

const begin = (point: InterruptedPoint | null = null, lostAgent = false) =>
  new PointRuns(parts).begin(planned(), { point, lostAgent });
const signal = () => new AbortController().signal;
const pointFile = (name: string) => join(dir, '3-p', name);
const result = async (): Promise<PointResult> => JSON.parse(await readFile(pointFile('result.json'), 'utf8'));
const failed: PointOutcome = { status: 'failed', cause: { summary: 'decode-0 died' }, result: null };
const done: PointOutcome = { status: 'done', cause: null, result: null };

const interrupted: InterruptedPoint = {
  ...{ ordinal: 3, attempt: 1, startedAt: new Date(NOW - 50_000) },
  ...{ benchmarkStartedAt: new Date(NOW - 20_000), cause: null },
};

describe('the input of the point machine', () => {
  it('has the phases that contain a process, and a router to warm up with', () => {
    const { point } = begin();
    expect(point).toMatchObject({ ordinal: 3, attempt: 2, deploy: ['worker'], warm: ['frontend'] });
    expect(point).toMatchObject({ endsWhenStopped: false, failedBefore: null, limit: { ms: 60_000 } });
    expect(did).toEqual(['begins after 0']);
  });

  it('has the remaining time and the earlier failure when the point goes on', () => {
    const cause = { summary: 'node2 is lost' };
    const { point } = begin({ ...interrupted, cause });
    expect(point).toMatchObject({ attempt: 1, failedBefore: cause, limit: { ms: 10_000 } });
    expect(did).toEqual(['begins after 50000']);
  });

  it('says that a `manual` point completes by being stopped', async () => {
    const { point } = new PointRuns(parts).begin(planned(null), { point: null, lostAgent: false });
    expect(point.endsWhenStopped).toBe(true);
    const stop = new AbortController();
    const running = point.work.benchmark(stop.signal);
    stop.abort(new Error('stopped'));
    await expect(running).rejects.toThrow('stopped');
  });
});

describe('the directory of a point', () => {
  it('moves the files of the previous attempt aside, and contains the point’s recipe', async () => {
    await mkdir(join(dir, '3-p'), { recursive: true });
    await writeFile(pointFile('benchmark.out'), 'first attempt');
    const attempt = begin();
    await attempt.point.work.prepare();
    expect(await readFile(pointFile('attempt-1/benchmark.out'), 'utf8')).toBe('first attempt');
    await attempt.write(done);
    expect(await readFile(pointFile('config.yaml'), 'utf8')).toBe(
      'schema: resolved\nname: r\nbenchmark: {}\n',
    );
  });

  it('stays as it is when the point goes on', async () => {
    await mkdir(join(dir, '3-p'), { recursive: true });
    await writeFile(pointFile('benchmark.out'), 'of this attempt');
    const attempt = begin(interrupted);
    await attempt.point.work.prepare();
    await attempt.write(done);
    expect(await readFile(pointFile('benchmark.out'), 'utf8')).toBe('of this attempt');
  });
});

describe('the benchmark', () => {
  it('is deployed with all processes, and its last progress is published', async () => {
    const attempt = begin();
    await attempt.point.work.prepare();
    benchmark = () => writeFile(pointFile('progress.json'), JSON.stringify(PROGRESS));
    await attempt.point.work.benchmark(signal());
    expect(did).toContain('deploy benchmark 3');
    expect(progress).toEqual([PROGRESS]);
    await attempt.write(done);
    expect(await result()).toMatchObject({ benchmarkStartedAt: '2026-01-01T12:00:00.000Z' });
  });

  it('fails with the process that caused the failure', async () => {
    benchmark = () => Promise.reject(new CausedError({ summary: 'benchmark exited with 1' }));
    await expect(begin().point.work.benchmark(signal())).rejects.toThrow('benchmark exited with 1');
  });
});

describe('the result of an attempt', () => {
  it('is in result.json, with the lost processes and the unsupported options', async () => {
    lost = [{ summary: 'decode-1 was lost' }];
    const attempt = begin();
    await attempt.point.work.prepare();
    expect(await attempt.write(done)).toEqual({ outcome: done, canReplaceLost: false });
    expect(await result()).toMatchObject({
      ...{ v: 1, job: '7', ordinal: 3, params: { concurrency: 4 }, attempt: 2, status: 'done' },
      ...{ startedAt: '2026-01-01T12:00:00.000Z', benchmarkStartedAt: null, cause: null },
      ...{ lost, notDone: ['profiling: is not supported'] },
    });
    expect(took).toHaveLength(1);
    await attempt.keep();
    expect(did.slice(1)).toEqual(['ended done', 'keep done']);
  });

  it('has a better cause when it failed, with the end of the log', async () => {
    const attempt = begin(null, true);
    await attempt.point.work.prepare();
    const cause = { summary: 'decode-0 died', logTail: ['the last line'], signature: 'explained' };
    const ended = await attempt.write(failed);
    expect(ended).toEqual({ outcome: { ...failed, cause }, canReplaceLost: true });
    expect(await result()).toMatchObject({ status: 'failed', cause });
    expect(took).toEqual([]);
    await attempt.reopen();
    expect(did.slice(1)).toEqual(['ended failed', 'reopen after attempt 2']);
  });

  it('needs no explanation when the time limit was reached', async () => {
    const attempt = begin();
    await attempt.point.work.prepare();
    const cause = attempt.point.limit?.cause ?? null;
    expect(await attempt.write({ ...failed, cause })).toMatchObject({ outcome: { cause } });
    expect(cause?.summary).toBe('the point took longer than its time limit of 60 s (sweep.point_time_limit)');
    expect((await result()).cause).toEqual(cause);
  });

  it('keeps the times of the previous coordinator when the point goes on', async () => {
    const attempt = begin(interrupted);
    await attempt.point.work.prepare();
    await attempt.write(done);
    expect(await result()).toMatchObject({
      ...{ attempt: 1, startedAt: '2026-01-01T11:59:10.000Z' },
      benchmarkStartedAt: '2026-01-01T11:59:40.000Z',
    });
  });

  it('is a failure with a reason when it cannot be written', async () => {
    const attempt = begin();
    await attempt.point.work.prepare();
    // A directory in the place of the file.
    await mkdir(pointFile('result.json'));
    const { outcome } = await attempt.write(done);
    expect(outcome).toMatchObject({ status: 'failed' });
    expect(outcome.cause?.summary).toMatch(/^the result cannot be written: /);
    await attempt.keep();
    expect(did).toContain('defect: result of point 3');
    expect(did.slice(-2)).toEqual(['ended failed', 'keep failed']);
  });
});

describe('a point whose run is a service', () => {
  const ofService = () =>
    new PointRuns(parts).begin(
      {
        ...planned(null),
        services: [{ processes: ['service-train-0', 'service-train-1'], terminal: true }],
      } as never,
      { point: null, lostAgent: false },
    );
  const endOf = (process: string, exitCode: number | null): Cause => ({
    summary: process,
    process,
    exitCode,
  });

  it('ends by itself, when all of them have ended', async () => {
    const { point } = ofService();
    expect(point.endsWhenStopped).toBe(false);
    await expect(point.work.benchmark(new AbortController().signal)).resolves.toBeUndefined();
  });

  it('fails with the worst exit code, which is that of the job', async () => {
    ends = [endOf('service-train-0', 3), endOf('service-train-1', 9)];
    const attempt = ofService();
    const error = await attempt.point.work.benchmark(new AbortController().signal).catch((thrown) => thrown);
    expect(error).toMatchObject({ causeOf: { process: 'service-train-1', exitCode: 9 } });
    const outcome: PointOutcome = { status: 'failed', cause: error.causeOf, result: null };
    await attempt.point.work.prepare();
    expect((await attempt.write(outcome)).outcome.exitCode).toBe(9);
  });

  it.each([
    ['a signal', null, 1],
    ['what a shell says of a signal', 137, 1],
    ['the code of a defect of srtctl', 70, 1],
    ['any other code', 42, 42],
  ])('ends with a code that a job may have, after %s', async (_, exitCode, expected) => {
    const attempt = ofService();
    await attempt.point.work.prepare();
    const outcome: PointOutcome = {
      status: 'failed',
      cause: endOf('service-train-0', exitCode),
      result: null,
    };
    expect((await attempt.write(outcome)).outcome.exitCode).toBe(expected);
  });

  it('has no exit code of its own when another process failed', async () => {
    const attempt = ofService();
    await attempt.point.work.prepare();
    const outcome: PointOutcome = { status: 'failed', cause: endOf('agg-0-0', 5), result: null };
    expect((await attempt.write(outcome)).outcome.exitCode).toBeUndefined();
  });
});
