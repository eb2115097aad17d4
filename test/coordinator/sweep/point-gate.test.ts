import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Replacements } from '../../../src/coordinator/agents/replacements.ts';
import { DEFAULT_SUPERVISION, Roster } from '../../../src/coordinator/agents/roster.ts';
import { PointGate } from '../../../src/coordinator/sweep/point-gate.ts';
import type { Before } from '../../../src/coordinator/sweep/point-run.ts';
import { SweepRun } from '../../../src/coordinator/sweep/sweep-run.ts';
import { TimeBudget } from '../../../src/coordinator/sweep/time-budget.ts';
import type { FoundRun } from '../../../src/coordinator/takeover/find-run.ts';
import { PreviousRun } from '../../../src/coordinator/takeover/previous-run.ts';
import { type PointMoved, Post } from '../../../src/machines/addresses.ts';
import { CausedError, type PointOutcome, type PointWork } from '../../../src/machines/point.ts';
import type { Attempt } from '../../../src/machines/sweep-context.ts';
import type { PlannedPoint } from '../../../src/model/kinds.ts';
import { createSteadyClock } from '../../../src/os/steady-clock.ts';

const NODES = ['node1', 'node2', 'node3'];
const ORDINALS = [1, 2];

let post: Post;
let roster: Roster;
/** The event in each attempt, in turn; a cause is the attempt's failure. */
let attempts: (() => string | null)[];
/** The point of each attempt, and its earlier failure. */
let begun: [number, string | undefined][];
/** Final results of points. */
let kept: [number, PointOutcome['status']][];
let moves: PointMoved[];
/** Called when the points are planned anew. */
let planned: () => void;
let cleanups: number;

/** A sweep whose roster, replacements, gate and machines are real, on a job without a bus. */
function startSweep({
  found = null,
  endsAt = null,
  spareNodes = 1,
}: {
  found?: FoundRun | null;
  endsAt?: number | null;
  spareNodes?: number;
} = {}) {
  const log = pino({ level: 'silent' });
  post = new Post();
  const agents = NODES.map((node) => ({ name: node, node, group: { name: '', image: null } }));
  const record = { agent: () => {}, defect: (what: string) => expect.unreachable(what), hear: () => {} };
  roster = new Roster(NODES, DEFAULT_SUPERVISION, { record, post }, () => performance.now());
  const previousRun = new PreviousRun(found, []);
  const replacements = new Replacements({
    ...{ roster, agents, supervision: DEFAULT_SUPERVISION, relaunchAgents: true, joinTimeoutMs: 60_000 },
    ...{ spareNodes, without: [], launcher: { launch: () => {} }, log },
    platform: {
      ...{ addresses: new Map(), hostNames: 'addresses', containers: false, claim: null, launched: [] },
      ...{ launchAgents: () => {}, adoptAgents: () => [], endAgents: () => {} },
      ...{ stop: async () => {}, release: async () => {} },
    },
  });
  const begin = ({ ordinal }: PlannedPoint, { point, lostAgent }: Before): Attempt => {
    begun.push([ordinal, point?.cause?.summary]);
    let outcome: PointOutcome;
    const work: PointWork = {
      prepare: async () => {},
      deploy: async () => {},
      flushCaches: async () => {},
      benchmark: async () => {
        const summary = attempts.shift()?.() ?? null;
        if (summary !== null) throw new CausedError({ summary });
      },
      collect: async () => ({ type: 'sa-bench', valid: true, serving: [], artifacts: [] }),
    };
    return {
      point: {
        ...{ ordinal, name: 'p', attempt: 1, deploy: [], warm: [], work },
        failedBefore: point?.cause ?? null,
      },
      write: async (ended) => {
        outcome = ended;
        return { outcome, canReplaceLost: replacements.canReplaceLost({ lostBefore: lostAgent }) };
      },
      keep: async () => void kept.push([ordinal, outcome.status]),
      reopen: async () => {},
    };
  };
  const gate = new PointGate({
    ...{ roster, replacements, previousRun, clock: createSteadyClock() },
    timeBudget: new TimeBudget(endsAt, 0),
    planning: { make: async () => planned(), point: (ordinal) => ({ ordinal }) as PlannedPoint },
    runs: { begin },
  });
  const run = new SweepRun(
    {
      ...{ gate, record, post, fleet: { hear: () => {} } },
      boot: { run: async () => 'every agent has joined' },
      hostSetup: { end: async () => {} },
      points: { moved: (event) => moves.push(event) },
      cleaner: {
        after: (work) => work,
        clean: async () => {
          cleanups++;
        },
        dismissAgents: async () => {},
      },
    },
    { ordinals: ORDINALS },
  );
  for (const node of NODES)
    roster.hello({
      ...{ v: 1, node, incarnation: `${node}-a`, pid: 1, address: '127.0.0.1', epoch: 0 },
      ...{ generation: 0, processes: [] },
    });
  return { previousRun, run };
}

/** node2 is frozen, or powered off. */
function loseNode(): string {
  roster.watch(() => true);
  vi.advanceTimersByTime(DEFAULT_SUPERVISION.lostAfterMs / 2);
  for (const node of ['node1', 'node3'])
    roster.heartbeat({
      ...{ v: 1, node, incarnation: `${node}-a`, epoch: 1, generation: 1, processes: [] },
      ...{ alive: 0, rssBytes: 0, malformed: 0, leaving: false },
    });
  vi.advanceTimersByTime(DEFAULT_SUPERVISION.lostAfterMs / 2 + 500);
  return 'the benchmark missed node2';
}

const interrupt = () => post.tell('sweep', { type: 'sweep.interrupt', why: 'Ctrl-C', exitCode: 130 });

beforeEach(() => {
  vi.useFakeTimers();
  attempts = [];
  begun = [];
  kept = [];
  moves = [];
  planned = () => {};
  cleanups = 0;
});
afterEach(() => {
  roster.close();
  vi.useRealTimers();
});

describe('a point that lost a node', () => {
  it('is tried again on the spare one', async () => {
    const { run } = startSweep();
    attempts.push(loseNode);
    expect(await run.run()).toBe(0);
    expect(roster.gone).toEqual([]);
    expect(begun.map(([ordinal]) => ordinal)).toEqual([1, 1, 2]);
    expect(kept).toEqual([
      [1, 'done'],
      [2, 'done'],
    ]);
  });

  it('fails as the roster reports, and its cleanup runs before that of the sweep', async () => {
    const { run } = startSweep();
    attempts.push(loseNode);
    await run.run();
    const failed = moves.filter(({ to }) => to === 'cleaning' || to === 'failed');
    expect(failed.map(({ to, cause }) => [to, cause?.node])).toEqual([
      ['cleaning', 'node2'],
      ['failed', 'node2'],
    ]);
    expect(cleanups).toBe(2);
  });

  it('is not tried again when the job is stopped during the cleanup or the search for a node', async () => {
    const first = startSweep();
    attempts.push(() => {
      const cause = loseNode();
      interrupt();
      return cause;
    });
    expect(await first.run.run()).toBe(130);
    expect(kept).toEqual([[1, 'failed']]);
    roster.close();
    const second = startSweep();
    attempts.push(loseNode);
    planned = interrupt;
    expect(await second.run.run()).toBe(130);
    // The failure is the point's result, although another attempt was planned.
    expect(kept.slice(1)).toEqual([[1, 'failed']]);
    expect(begun.map(([ordinal]) => ordinal)).toEqual([1, 1]);
  });

  it('is not tried again without a spare node, and the run ends when the node does not come back', async () => {
    const { run } = startSweep({ spareNodes: 0 });
    attempts.push(loseNode);
    const ended = run.run();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(await ended).toBe(1);
    expect(kept).toEqual([[1, 'failed']]);
  });

  it('while the coordinator was away is tried again too, once', async () => {
    const running = { ordinal: 1, attempt: 1, startedAt: new Date(0), benchmarkStartedAt: null, cause: null };
    const remaining = { left: ORDINALS, running, exitCode: null, durations: [] };
    const found = { remaining, state: { points: [], generation: 0 }, handover: null };
    const { previousRun, run } = startSweep({ found: found as unknown as FoundRun });
    // The boot gave the node up, and no agent is gone now.
    previousRun.lostAgent('node2');
    // The first attempt fails because of the lost agent, before its benchmark.
    attempts.push(() => null);
    attempts.push(() => 'out of memory');
    expect(await run.run()).toBe(3);
    expect(begun).toEqual([
      [1, 'the agent of node2 was lost while the coordinator was away'],
      [1, undefined],
      [2, undefined],
    ]);
  });
});

it('a point that has no time left does not begin, and the run ends with the exit code for that', async () => {
  const { run } = startSweep({ endsAt: Date.now() });
  expect(await run.run()).toBe(124);
  expect(begun).toEqual([]);
});
