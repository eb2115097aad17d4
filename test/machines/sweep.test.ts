import { describe, expect, it } from 'vitest';
import { type ActorRefFrom, createActor, fromCallback, fromPromise, waitFor } from 'xstate';
import type { RecordEvent } from '../../src/machines/addresses.ts';
import { CONTINUE, type FailurePolicy, failurePolicy } from '../../src/machines/failure-policy.ts';
import { CausedError, type PointOutcome, type PointWork, pointMachine } from '../../src/machines/point.ts';
import { sweepMachine } from '../../src/machines/sweep.ts';
import type { Attempt, GateAnswer } from '../../src/machines/sweep-context.ts';
import type { BenchmarkResult, Cause } from '../../src/messages/job-directory/result.ts';

const valid: BenchmarkResult = { type: 'sa-bench', valid: true, serving: [], artifacts: [] };
const done: PointOutcome = { status: 'done', cause: null, result: valid };
const failed = (summary: string): PointOutcome => ({ status: 'failed', cause: { summary }, result: null });
/** A promise that the test settles. */
function gate<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** The effects of a point without a process, which ends with `outcome`. */
const workOf = (outcome: () => Promise<PointOutcome>): PointWork => ({
  prepare: async () => {},
  deploy: async () => {},
  flushCaches: async () => {},
  benchmark: async () => {
    const { cause } = await outcome();
    if (cause) throw new CausedError(cause);
  },
  collect: async () => (await outcome()).result ?? valid,
});

function startSweep(
  outcomes: PointOutcome[],
  over: {
    boot?: () => Promise<string>;
    gate?: (ordinal: number, signal: AbortSignal) => Promise<GateAnswer | undefined>;
    point?: (ordinal: number, attempt: number) => Promise<PointOutcome>;
    canReplaceLost?: (ordinal: number, attempt: number) => boolean;
    endsWhenStopped?: boolean;
    policy?: FailurePolicy;
    before?: number;
  } = {},
) {
  const did: string[] = [];
  /** The handling of the results. */
  const results: string[] = [];
  const told: RecordEvent[] = [];
  const note =
    <T>(what: string, run: () => Promise<T>) =>
    () => {
      did.push(what);
      return run();
    };
  const begun = new Map<number, number>();
  const begin = (ordinal: number): Attempt => {
    const attempt = (begun.get(ordinal) ?? 0) + 1;
    begun.set(ordinal, attempt);
    did.push(`point ${ordinal}`);
    const ended = over.point?.(ordinal, attempt) ?? Promise.resolve(outcomes[ordinal] ?? done);
    return {
      point: {
        ...{ ordinal, name: 'p', attempt, deploy: [], warm: [], work: workOf(() => ended) },
        endsWhenStopped: over.endsWhenStopped === true,
      },
      write: async (outcome) => ({
        outcome,
        canReplaceLost: over.canReplaceLost?.(ordinal, attempt) ?? false,
      }),
      keep: async () => void results.push(`keep ${ordinal}`),
      reopen: async () => void results.push(`reopen ${ordinal}`),
    };
  };
  const machine = sweepMachine.provide({
    actors: {
      boot: fromPromise(note('boot', over.boot ?? (async () => 'every agent has joined'))),
      record: fromCallback<RecordEvent>(({ receive }) => receive((event) => told.push(event))),
      gate: fromPromise<GateAnswer, { ordinal: number }>(
        async ({ input: { ordinal }, signal }) =>
          (await over.gate?.(ordinal, signal)) ?? { kind: 'opens', attempt: begin(ordinal) },
      ),
      point: pointMachine.provide({ actors: { cleanup: fromPromise(async () => {}) } }),
      cleanup: fromPromise(note('cleanup', async () => {})),
      finish: fromPromise(note('finish', async () => {})),
    },
  });
  const { policy = CONTINUE, before = 0 } = over;
  const input = { ordinals: outcomes.map((_, index) => index), policy, done: before };
  const actor = createActor(machine, { input, systemId: 'sweep' }).start();
  const end = async () => {
    const snapshot = await waitFor(actor, (state) => state.status === 'done');
    return { did, ...snapshot.output, unexpected: snapshot.context.unexpected };
  };
  return { actor, did, results, told, end };
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

  it('ends with exit code 1 when no point has a valid result, and counts results of a previous run', async () => {
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

  it('tries a failed point again, and drops its failure when the second attempt succeeds', async () => {
    const point = (ordinal: number, attempt: number) =>
      Promise.resolve(ordinal === 1 && attempt === 1 ? failed('a port was taken') : done);
    const policy = failurePolicy({ retry: 1, pause: 0.001 });
    expect(await startSweep([done, done, done], { point, policy }).end()).toMatchObject({
      did: ['boot', 'point 0', 'point 1', 'point 1', 'point 2', 'cleanup', 'finish'],
      exitCode: 0,
      cause: null,
    });
  });

  it('does not try a point a third time after two equal failures, and else as often as the policy allows', async () => {
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

  it('does not wait for the end of the pause when it is interrupted', async () => {
    const sweep = startSweep([failed('x'), done], { policy: failurePolicy({ retry: 1, pause: 3_600 }) });
    await waitFor(sweep.actor, (state) => state.matches({ running: 'pausing' }));
    sweep.actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
    expect(await sweep.end()).toMatchObject({
      did: ['boot', 'point 0', 'cleanup', 'finish'],
      exitCode: 130,
      // The point that was to be tried again counts as failed.
      cause: { summary: 'x' },
      unexpected: [],
    });
  });

  it('counts a point that waits for its next attempt as failed when an agent is lost in the pause', async () => {
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

  it('runs no further point after an interrupt or when it is crippled, and keeps the requested exit code', async () => {
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

  it('succeeds when stopping completes its last point, and otherwise ends with the requested exit code', async () => {
    const stopped: PointOutcome = { ...done, result: { ...valid, type: 'manual', valid: null } };
    for (const [points, exitCode] of [
      [1, 0],
      [2, 130],
    ] as const) {
      const { promise, resolve } = gate<PointOutcome>();
      const over = { point: () => promise, endsWhenStopped: true };
      const { actor, end } = startSweep(Array(points).fill(done), over);
      await waitFor(actor, (state) => state.matches({ running: 'point' }));
      // Before its benchmark the point would be interrupted.
      const point: ActorRefFrom<typeof pointMachine> = actor.system.get('point');
      await waitFor(point, (state) => state.matches('benchmarking'));
      actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
      resolve(stopped);
      expect(await end()).toMatchObject({ exitCode, cause: null });
    }
  });

  it('decides once about a result: another attempt, or the point’s last result', async () => {
    const point = (ordinal: number, attempt: number) =>
      Promise.resolve(ordinal === 0 && attempt === 1 ? failed('a port was taken') : done);
    const sweep = startSweep([done, failed('x')], {
      point,
      policy: failurePolicy({ retry: 1, pause: 0.001 }),
    });
    await sweep.end();
    expect(sweep.results).toEqual(['reopen 0', 'keep 0', 'keep 1']);
  });

  it('repeats a point that lost a node at once, under any policy, and does not count the attempt', async () => {
    const point = (_: number, attempt: number) =>
      Promise.resolve(attempt < 3 ? failed('node2 is lost') : done);
    const over = { point, canReplaceLost: (_: number, attempt: number) => attempt < 3 };
    const policy = failurePolicy({ retry: 1, pause: 3_600 });
    for (const each of [over, { ...over, policy }]) {
      const sweep = startSweep([done], each);
      expect(await sweep.end()).toMatchObject({ exitCode: 0, cause: null });
      expect(sweep.results).toEqual(['reopen 0', 'reopen 0', 'keep 0']);
    }
  });

  it('keeps the result of a point that was to be tried again when the run ends first', async () => {
    const sweep = startSweep([failed('x'), done], { policy: failurePolicy({ retry: 1, pause: 3_600 }) });
    await waitFor(sweep.actor, (state) => state.matches({ running: 'pausing' }));
    sweep.actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
    await sweep.end();
    expect(sweep.results).toEqual(['reopen 0', 'keep 0']);
  });

  it('ends when the gate refuses a point, because time is short or a node is lost for good', async () => {
    const late: GateAnswer = { kind: 'too late', why: 'the allocation ends', exitCode: 124 };
    const sweep = startSweep([done, done], { gate: async (ordinal) => (ordinal === 1 ? late : undefined) });
    expect(await sweep.end()).toMatchObject({
      ...{ did: ['boot', 'point 0', 'cleanup', 'finish'], exitCode: 124, cause: null },
    });
    expect(sweep.told).toContainEqual({ type: 'sweep.interrupted', why: 'the allocation ends' });
    const cause = { summary: 'node node2 is lost; there is no spare node in its place' };
    const crippled = startSweep([done, done], {
      gate: async (ordinal) => (ordinal === 1 ? { kind: 'crippled', cause } : undefined),
    });
    expect(await crippled.end()).toMatchObject({ exitCode: 1, cause });
  });

  it('does not wait for a gate that looks for another node when it is interrupted', async () => {
    let isAborted = false;
    const sweep = startSweep([done], {
      gate: (_, signal) => {
        signal.addEventListener('abort', () => {
          isAborted = true;
        });
        return new Promise(() => {});
      },
    });
    await waitFor(sweep.actor, (state) => state.matches({ running: 'gate' }));
    sweep.actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
    expect(await sweep.end()).toMatchObject({ did: ['boot', 'cleanup', 'finish'], exitCode: 130 });
    expect(isAborted).toBe(true);
  });

  it('stops once when the allocation ends, and ignores that while it is being stopped', async () => {
    const timeUp = { type: 'sweep.timeUp', why: 'the allocation ends', exitCode: 124 } as const;
    const running = startSweep([done, done], { point: () => new Promise(() => {}) });
    await waitFor(running.actor, (state) => state.matches({ running: 'point' }));
    running.actor.send(timeUp);
    running.actor.send(timeUp);
    expect(await running.end()).toMatchObject({ exitCode: 124 });
    expect(running.told.filter(({ type }) => type === 'sweep.interrupted')).toHaveLength(1);
    const stopped = startSweep([done], { point: () => new Promise(() => {}) });
    await waitFor(stopped.actor, (state) => state.matches({ running: 'point' }));
    stopped.actor.send({ type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });
    stopped.actor.send(timeUp);
    expect(await stopped.end()).toMatchObject({ exitCode: 130 });
  });

  it('reports each state that it and its points enter to the record, once', async () => {
    const sweep = startSweep([failed('x'), done]);
    await sweep.end();
    const moves = sweep.told.flatMap((event) =>
      event.type === 'sweep.moved' || event.type === 'point.moved' ? [`${event.from} ${event.to}`] : [],
    );
    expect(moves).toEqual([
      'booting running',
      ...[
        'null planned',
        'planned warming',
        'warming benchmarking',
        'benchmarking cleaning',
        'cleaning failed',
      ],
      ...[
        'null planned',
        'planned warming',
        'warming benchmarking',
        'benchmarking collecting',
        'collecting done',
      ],
      ...['running cleaning', 'cleaning finishing', 'finishing finished'],
    ]);
    expect(sweep.told.at(-1)).toMatchObject({ to: 'finished', exitCode: 3, cause: { summary: 'x' } });
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
    /** false: the test decides when the point's directory is made. */
    begins?: boolean;
    endsWhenStopped?: boolean;
    failedBefore?: Cause;
    limit?: { ms: number; cause: Cause };
  } = {},
) {
  const did: string[] = [];
  const made = gate<void>();
  const work: PointWork = {
    prepare: () => (over.begins === false ? made.promise : Promise.resolve()),
    deploy: (phase) => {
      did.push(`deploy ${phase}`);
      return over.deploy?.(phase) ?? Promise.resolve();
    },
    flushCaches: async () => {},
    benchmark: () => {
      did.push('benchmark');
      return over.benchmark?.() ?? Promise.resolve();
    },
    collect: async () => over.result ?? valid,
  };
  const machine = pointMachine.provide({
    actors: {
      cleanup: fromPromise(async () => {
        did.push('cleanup');
      }),
    },
  });
  const actor = createActor(machine, {
    input: {
      ...{ ordinal: 0, name: 'p', attempt: 1, work },
      ...{ deploy: ['infra', 'worker'], warm: ['frontend', 'proxy'] },
      endsWhenStopped: over.endsWhenStopped === true,
      failedBefore: over.failedBefore ?? null,
      limit: over.limit ?? null,
    },
  }).start();
  const begin = () => made.resolve();
  return {
    actor,
    did,
    begin,
    end: async () => (await waitFor(actor, (state) => state.status === 'done')).output,
  };
}

describe('the point machine', () => {
  it('deploys phase by phase, warms up, runs the benchmark and completes without a cleanup', async () => {
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

  it('cleans up when a phase fails, and names the cause', async () => {
    const deploy = (phase: string) =>
      phase === 'worker'
        ? Promise.reject(new CausedError({ summary: 'node3 did not answer' }))
        : Promise.resolve();
    const point = startPoint({ deploy });
    expect(await point.end()).toMatchObject({ status: 'failed', cause: { summary: 'node3 did not answer' } });
    expect(point.did).toEqual(['deploy infra', 'deploy worker', 'cleanup']);
  });

  it('cleans up when a process breaks the point during the benchmark, and keeps the first cause', async () => {
    const point = startPoint({ benchmark: () => new Promise(() => {}) });
    await waitFor(point.actor, (state) => state.matches('benchmarking'));
    point.actor.send({ type: 'point.broken', cause: { summary: 'decode-0-0 died' } });
    point.actor.send({ type: 'point.broken', cause: { summary: 'the router died of it' } });
    expect(await point.end()).toMatchObject({ status: 'failed', cause: { summary: 'decode-0-0 died' } });
    expect(point.did.at(-1)).toBe('cleanup');
  });

  it('breaks before it begins too, and then deploys nothing', async () => {
    const point = startPoint({ begins: false });
    point.actor.send({ type: 'point.broken', cause: { summary: 'node3 is lost' } });
    point.begin();
    expect(await point.end()).toMatchObject({ status: 'failed', cause: { summary: 'node3 is lost' } });
    expect(point.did).toEqual(['cleanup']);
    expect(point.actor.getSnapshot().context.unexpected).toEqual([]);
  });

  it('keeps the first of several events before it begins', async () => {
    const stopped = startPoint({ begins: false });
    stopped.actor.send({ type: 'point.interrupt', why: 'Ctrl-C' });
    stopped.actor.send({ type: 'point.broken', cause: { summary: 'node3 is lost' } });
    stopped.begin();
    expect(await stopped.end()).toMatchObject({ status: 'interrupted', cause: null });
    const broken = startPoint({ begins: false });
    broken.actor.send({ type: 'point.broken', cause: { summary: 'node3 is lost' } });
    broken.actor.send({ type: 'point.interrupt', why: 'Ctrl-C' });
    broken.begin();
    expect(await broken.end()).toMatchObject({ status: 'failed', cause: { summary: 'node3 is lost' } });
  });

  it('cleans up a point that had failed under the previous coordinator', async () => {
    const failedBefore = { summary: 'decode-0-0 died' };
    const point = startPoint({ failedBefore, deploy: () => new Promise(() => {}) });
    expect(await point.end()).toMatchObject({ status: 'failed', cause: failedBefore });
    expect(point.did).toEqual(['deploy infra', 'cleanup']);
  });

  it('keeps that failure as the first cause, whatever breaks later', async () => {
    const failedBefore = { summary: 'the agent of node2 was lost while the coordinator was away' };
    const point = startPoint({ failedBefore, begins: false });
    point.actor.send({ type: 'point.broken', cause: { summary: 'the benchmark failed of it' } });
    point.begin();
    expect(await point.end()).toMatchObject({ status: 'failed', cause: failedBefore });
  });

  it('breaks when it takes longer than its time limit', async () => {
    const cause = { summary: 'the point took longer than its time limit' };
    const point = startPoint({ benchmark: () => new Promise(() => {}), limit: { ms: 20, cause } });
    expect((await point.end())?.cause).toBe(cause);
  });

  it('fails when the result is not valid, and keeps the result', async () => {
    const result: BenchmarkResult = { ...valid, valid: false, reason: '3 of 40 requests failed' };
    expect(await startPoint({ result }).end()).toMatchObject({
      status: 'failed',
      cause: { summary: '3 of 40 requests failed' },
      result,
    });
  });

  it('is interrupted, and not failed, when the user stops it', async () => {
    const point = startPoint({ benchmark: () => new Promise(() => {}) });
    point.actor.send({ type: 'point.interrupt', why: 'Ctrl-C' });
    expect(await point.end()).toMatchObject({ status: 'interrupted', cause: null });
    expect(point.did.at(-1)).toBe('cleanup');
  });

  it('completes without figures, as soon as all processes are ready, when it ends by being stopped', async () => {
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
  ])('judges a worker that ended %s just before the whole job is stopped', async (_, how, status) => {
    const point = startPoint({ benchmark: () => new Promise(() => {}) });
    await waitFor(point.actor, (state) => state.matches('benchmarking'));
    point.actor.send({ type: 'point.broken', cause: { summary: 'decode', process: 'decode-0-0', ...how } });
    point.actor.send({ type: 'point.interrupt', why: 'scancel' });
    expect(await point.end()).toMatchObject({ status });
  });
});

it('a point with nothing to deploy or to warm up goes straight to its benchmark', async () => {
  const did: string[] = [];
  const work: PointWork = {
    ...workOf(async () => done),
    deploy: async () => void did.push('deploy'),
    benchmark: async () => void did.push('benchmark'),
  };
  const input = { ordinal: 0, name: 'p', attempt: 1, deploy: [], warm: [], work };
  const actor = createActor(pointMachine, { input }).start();
  expect((await waitFor(actor, (state) => state.status === 'done')).output?.status).toBe('done');
  expect(did).toEqual(['benchmark']);
});
