import { describe, expect, it } from 'vitest';
import { createActor, fromPromise, waitFor } from 'xstate';
import { CONTINUE, type FailurePolicy, failurePolicy } from '../../src/machines/failure-policy.ts';
import { CausedError, type PointOutcome, pointMachine } from '../../src/machines/point.ts';
import { sweepMachine } from '../../src/machines/sweep.ts';
import type { BenchmarkResult } from '../../src/messages/job-directory/result.ts';
import type { DeployPhase } from '../../src/messages/spec/process-spec.ts';

const valid: BenchmarkResult = { type: 'sa-bench', valid: true, serving: [], artifacts: [] };
const done: PointOutcome = { status: 'done', cause: null, result: valid };
const failed = (summary: string): PointOutcome => ({ status: 'failed', cause: { summary }, result: null });
/** A promise that its test settles. */
function gate<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function startSweep(
  outcomes: PointOutcome[],
  over: {
    boot?: () => Promise<string>;
    point?: (ordinal: number, attempt: number) => Promise<PointOutcome>;
    policy?: FailurePolicy;
    before?: number;
  } = {},
) {
  const did: string[] = [];
  const note =
    <T>(what: string, run: () => Promise<T>) =>
    () => {
      did.push(what);
      return run();
    };
  const machine = sweepMachine.provide({
    actors: {
      boot: fromPromise(note('boot', over.boot ?? (async () => 'every agent has joined'))),
      point: fromPromise<PointOutcome, { ordinal: number; attempt: number }>(({ input }) => {
        did.push(`point ${input.ordinal}`);
        return over.point?.(input.ordinal, input.attempt) ?? Promise.resolve(outcomes[input.ordinal] ?? done);
      }),
      cleanup: fromPromise(note('cleanup', async () => {})),
      finish: fromPromise(note('finish', async () => {})),
    },
  });
  const { policy = CONTINUE, before = 0 } = over;
  const input = { ordinals: outcomes.map((_, index) => index), policy, done: before };
  const actor = createActor(machine, { input }).start();
  const end = async () => {
    const snapshot = await waitFor(actor, (state) => state.status === 'done');
    return { did, ...snapshot.output, unexpected: snapshot.context.unexpected };
  };
  return { actor, did, end };
}

describe('the sweep machine', () => {
  it('boots, runs each point in turn, cleans up and finishes with exit code 0', async () => {
    const { end } = startSweep([done, done]);
    expect(await end()).toEqual({
      did: ['boot', 'point 0', 'point 1', 'cleanup', 'finish'],
      exitCode: 0,
      cause: null,
      unexpected: [],
    });
  });

  it('goes on after a failed point, and ends with exit code 3 and the first cause', async () => {
    const result = await startSweep([failed('first'), failed('second'), done]).end();
    expect(result.did).toContain('point 2');
    expect(result).toMatchObject({ exitCode: 3, cause: { summary: 'first' } });
  });

  it('ends with exit code 1 when no point has a valid result, and counts those from before', async () => {
    expect(await startSweep([failed('a'), failed('b')]).end()).toMatchObject({ exitCode: 1 });
    expect(await startSweep([failed('a')], { before: 4 }).end()).toMatchObject({ exitCode: 3 });
  });

  it('ends at the first failed point with on_failure: abort', async () => {
    const policy = failurePolicy('abort');
    expect(await startSweep([done, failed('first'), done], { policy }).end()).toMatchObject({
      did: ['boot', 'point 0', 'point 1', 'cleanup', 'finish'],
      exitCode: 1,
      cause: { summary: 'first' },
    });
  });

  it('tries a failed point again, and then its failure is no cause of anything', async () => {
    const point = (ordinal: number, attempt: number) =>
      Promise.resolve(ordinal === 1 && attempt === 1 ? failed('a port was taken') : done);
    const policy = failurePolicy({ retry: 1, pause: 0.001 });
    expect(await startSweep([done, done, done], { point, policy }).end()).toMatchObject({
      did: ['boot', 'point 0', 'point 1', 'point 1', 'point 2', 'cleanup', 'finish'],
      exitCode: 0,
      cause: null,
    });
  });

  it('does not try a third time what failed twice in the same way, and else as often as it may', async () => {
    const policy = failurePolicy({ retry: 5, pause: 0.001 });
    const same = startSweep([failed('out of memory on GPU 3'), done], { policy });
    expect((await same.end()).did.filter((what) => what === 'point 0')).toHaveLength(2);
    const words = ['a port was taken', 'no answer', 'out of disk', 'a file is missing', 'a bad weight', 'x'];
    const point = (ordinal: number, attempt: number) =>
      Promise.resolve(ordinal === 0 ? failed(words[attempt - 1] ?? '') : done);
    const each = startSweep([done, done], { point, policy });
    expect(await each.end()).toMatchObject({ exitCode: 3 });
    expect(each.did.filter((what) => what === 'point 0')).toHaveLength(6);
  });

  it('does not wait for the pause when it is interrupted in it', async () => {
    const sweep = startSweep([failed('x'), done], { policy: failurePolicy({ retry: 1, pause: 3_600 }) });
    await waitFor(sweep.actor, (state) => state.matches({ running: 'pausing' }));
    sweep.actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
    expect(await sweep.end()).toMatchObject({
      did: ['boot', 'point 0', 'cleanup', 'finish'],
      exitCode: 130,
      // What was to be tried again has failed all the same.
      cause: { summary: 'x' },
      unexpected: [],
    });
  });

  it('counts a point as failed that was to be tried again when something is gone in the pause', async () => {
    const point = (ordinal: number) => Promise.resolve(ordinal === 0 ? done : failed('x'));
    const sweep = startSweep([done, done], { point, policy: failurePolicy({ retry: 1, pause: 3_600 }) });
    await waitFor(sweep.actor, (state) => state.matches({ running: 'pausing' }));
    sweep.actor.send({ type: 'sweep.crippled', cause: { summary: 'the bus is gone' } });
    expect(await sweep.end()).toMatchObject({ exitCode: 1, cause: { summary: 'the bus is gone' } });
    expect(sweep.actor.getSnapshot().context).toMatchObject({ done: 1, failed: 1, left: [] });
  });

  it('cleans up and finishes when the boot fails, with its cause', async () => {
    const boot = () => Promise.reject(new CausedError({ summary: 'no agent on node2', node: 'node2' }));
    expect(await startSweep([done], { boot }).end()).toMatchObject({
      did: ['boot', 'cleanup', 'finish'],
      exitCode: 1,
      cause: { summary: 'no agent on node2', node: 'node2' },
    });
  });

  it('runs no further point after an interrupt or when it is crippled, and keeps the exit code asked for', async () => {
    const running = gate<PointOutcome>();
    const interrupted = startSweep([done, done], { point: () => running.promise });
    await waitFor(interrupted.actor, (state) => state.matches({ running: 'point' }));
    interrupted.actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
    running.resolve({ status: 'interrupted', cause: null, result: null });
    expect(await interrupted.end()).toMatchObject({
      did: ['boot', 'point 0', 'cleanup', 'finish'],
      exitCode: 130,
    });

    const crippling = gate<PointOutcome>();
    const crippled = startSweep([done, done], { point: () => crippling.promise });
    await waitFor(crippled.actor, (state) => state.matches({ running: 'point' }));
    crippled.actor.send({ type: 'sweep.crippled', cause: { summary: 'agent lost' } });
    crippling.resolve(failed('agent lost'));
    expect(await crippled.end()).toMatchObject({
      did: ['boot', 'point 0', 'cleanup', 'finish'],
      exitCode: 1,
    });
  });

  it('ends well when its last point is one that is done by being stopped, and else as it was told to', async () => {
    const stopped: PointOutcome = { ...done, result: { ...valid, type: 'manual', valid: null } };
    for (const [points, exitCode] of [
      [1, 0],
      [2, 130],
    ] as const) {
      const { promise, resolve } = gate<PointOutcome>();
      const { actor, end } = startSweep(Array(points).fill(done), { point: () => promise });
      await waitFor(actor, (state) => state.matches({ running: 'point' }));
      actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
      resolve(stopped);
      expect(await end()).toMatchObject({ exitCode, cause: null });
    }
  });

  it('gives up a boot that is interrupted', async () => {
    const { actor, end } = startSweep([done], { boot: () => new Promise(() => {}) });
    actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
    expect(await end()).toMatchObject({ did: ['boot', 'cleanup', 'finish'], exitCode: 130 });
  });
});

function startPoint(
  over: {
    benchmark?: () => Promise<void>;
    result?: BenchmarkResult;
    deploy?: (phase: string) => Promise<void>;
    /** false: the test begins the point. */
    begins?: boolean;
    endsWhenStopped?: boolean;
  } = {},
) {
  const did: string[] = [];
  const machine = pointMachine.provide({
    actors: {
      deployPhase: fromPromise<void, { ordinal: number; phase: DeployPhase }>(({ input }) => {
        did.push(`deploy ${input.phase}`);
        return over.deploy?.(input.phase) ?? Promise.resolve();
      }),
      benchmark: fromPromise(() => {
        did.push('benchmark');
        return over.benchmark?.() ?? Promise.resolve();
      }),
      collect: fromPromise(async () => over.result ?? valid),
      cleanup: fromPromise<void, { ordinal: number }>(async () => {
        did.push('cleanup');
      }),
    },
  });
  const actor = createActor(machine, {
    input: {
      ...{ ordinal: 0, name: 'p', deploy: ['infra', 'worker'], warm: ['frontend', 'proxy'] },
      endsWhenStopped: over.endsWhenStopped === true,
    },
  }).start();
  if (over.begins !== false) actor.send({ type: 'point.start' });
  return { actor, did, end: async () => (await waitFor(actor, (state) => state.status === 'done')).output };
}

describe('the point machine', () => {
  it('deploys phase by phase, warms up, runs the benchmark and is done without a cleanup', async () => {
    const point = startPoint();
    expect(await point.end()).toEqual({ status: 'done', cause: null, result: valid });
    expect(point.did).toEqual([
      'deploy infra',
      'deploy worker',
      'deploy frontend',
      'deploy proxy',
      'benchmark',
    ]);
  });

  it('cleans up when a phase fails, and says why', async () => {
    const deploy = (phase: string) =>
      phase === 'worker'
        ? Promise.reject(new CausedError({ summary: 'node3 did not answer' }))
        : Promise.resolve();
    const point = startPoint({ deploy });
    expect(await point.end()).toMatchObject({ status: 'failed', cause: { summary: 'node3 did not answer' } });
    expect(point.did).toEqual(['deploy infra', 'deploy worker', 'cleanup']);
  });

  it('cleans up when a process breaks it in mid-benchmark, and keeps the first cause', async () => {
    const point = startPoint({ benchmark: () => new Promise(() => {}) });
    await waitFor(point.actor, (state) => state.matches('benchmarking'));
    point.actor.send({ type: 'point.broken', cause: { summary: 'decode-0-0 died' } });
    point.actor.send({ type: 'point.broken', cause: { summary: 'the router died of it' } });
    expect(await point.end()).toMatchObject({ status: 'failed', cause: { summary: 'decode-0-0 died' } });
    expect(point.did.at(-1)).toBe('cleanup');
  });

  it('is broken also before it begins, and deploys nothing then', async () => {
    const point = startPoint({ begins: false });
    point.actor.send({ type: 'point.broken', cause: { summary: 'node3 is lost' } });
    point.actor.send({ type: 'point.start' });
    expect(await point.end()).toMatchObject({ status: 'failed', cause: { summary: 'node3 is lost' } });
    expect(point.did).toEqual(['cleanup']);
    expect(point.actor.getSnapshot().context.unexpected).toEqual([]);
  });

  it('fails when the result is not valid, and keeps the result', async () => {
    const result: BenchmarkResult = { ...valid, valid: false, reason: '3 of 40 requests failed' };
    expect(await startPoint({ result }).end()).toMatchObject({
      status: 'failed',
      cause: { summary: '3 of 40 requests failed' },
      result,
    });
  });

  it('is interrupted, not failed, when somebody stops it', async () => {
    const point = startPoint({ benchmark: () => new Promise(() => {}) });
    point.actor.send({ type: 'point.interrupt', why: 'Ctrl-C' });
    expect(await point.end()).toMatchObject({ status: 'interrupted', cause: null });
    expect(point.did.at(-1)).toBe('cleanup');
  });

  it('is done without figures when it ends by being stopped, as soon as all is up', async () => {
    const result: BenchmarkResult = { type: 'manual', valid: null, serving: [], artifacts: [] };
    const over = { benchmark: () => new Promise<void>(() => {}), endsWhenStopped: true, result };
    const point = startPoint(over);
    await waitFor(point.actor, (state) => state.matches('benchmarking'));
    point.actor.send({ type: 'point.interrupt', why: 'Ctrl-C' });
    expect(await point.end()).toEqual({ status: 'done', cause: null, result });
    const early = startPoint({ ...over, deploy: () => new Promise(() => {}) });
    early.actor.send({ type: 'point.interrupt', why: 'Ctrl-C' });
    expect(await early.end()).toMatchObject({ status: 'interrupted' });
  });

  it.each([
    ['by SIGTERM', { signal: 'SIGTERM', exitCode: null }, 'interrupted'],
    ['in good order', { signal: null, exitCode: 0 }, 'interrupted'],
    ['with an error', { signal: null, exitCode: 1 }, 'failed'],
    ['by SIGKILL', { signal: 'SIGKILL', exitCode: null }, 'failed'],
  ])('when a worker ended %s just before the whole job is told to end', async (_, how, status) => {
    const point = startPoint({ benchmark: () => new Promise(() => {}) });
    await waitFor(point.actor, (state) => state.matches('benchmarking'));
    point.actor.send({ type: 'point.broken', cause: { summary: 'decode', process: 'decode-0-0', ...how } });
    point.actor.send({ type: 'point.interrupt', why: 'scancel' });
    expect(await point.end()).toMatchObject({ status });
  });
});

it('a point without anything to deploy or to warm up goes straight to its benchmark', async () => {
  const did: string[] = [];
  const machine = pointMachine.provide({
    actors: {
      deployPhase: fromPromise<void, { ordinal: number; phase: DeployPhase }>(() => {
        did.push('deploy');
        return Promise.resolve();
      }),
      benchmark: fromPromise(() => {
        did.push('benchmark');
        return Promise.resolve();
      }),
      collect: fromPromise(async () => valid),
    },
  });
  const actor = createActor(machine, { input: { ordinal: 0, name: 'p', deploy: [], warm: [] } }).start();
  actor.send({ type: 'point.start' });
  expect((await waitFor(actor, (state) => state.status === 'done')).output?.status).toBe('done');
  expect(did).toEqual(['benchmark']);
});
