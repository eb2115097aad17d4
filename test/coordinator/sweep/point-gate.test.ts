import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Replacements } from '../../../src/coordinator/agents/replacements.ts';
import { DEFAULT_SUPERVISION, Roster } from '../../../src/coordinator/agents/roster.ts';
import type { Deployment } from '../../../src/coordinator/sweep/deployment.ts';
import { PointGate } from '../../../src/coordinator/sweep/point-gate.ts';
import { TimeBudget } from '../../../src/coordinator/sweep/time-budget.ts';
import type { FoundRun } from '../../../src/coordinator/takeover/find-run.ts';
import { PreviousRun } from '../../../src/coordinator/takeover/previous-run.ts';
import type { PointOutcome } from '../../../src/machines/point.ts';
import type { PlannedPoint } from '../../../src/model/kinds.ts';
import { createSteadyClock } from '../../../src/os/steady-clock.ts';

const NODES = ['node1', 'node2', 'node3'];
const DONE: PointOutcome = { status: 'done', cause: null, result: null };
const FAILED: PointOutcome = {
  status: 'failed',
  cause: { summary: 'the agent of node2 is lost' },
  result: null,
};

let roster: Roster;
let stopping: AbortController;
/** What came of a point, and whether its failure was to be tried again. */
let ran: (() => PointOutcome)[];
let causes: (string | undefined)[];
/** Called when it is planned anew. */
let planned: () => void;
let attempts: PointGate;

function begin(found: FoundRun | null = null): PreviousRun {
  const log = pino({ level: 'silent' });
  const agents = NODES.map((node) => ({ name: node, node, group: { name: '', image: null } }));
  const told = { onTransition: () => {}, onReports: () => {}, onDefect: () => {} };
  roster = new Roster(NODES, DEFAULT_SUPERVISION, told, () => performance.now());
  const previousRun = new PreviousRun(found, []);
  const replacements = new Replacements({
    ...{ roster, agents, supervision: DEFAULT_SUPERVISION, relaunchAgents: true, joinTimeoutMs: 60_000 },
    ...{ spareNodes: 1, without: [], launch: () => {}, log },
    platform: {
      ...{ addresses: new Map(), hostNames: 'addresses', containers: false, claim: null, launched: [] },
      ...{ launchAgents: () => {}, adoptAgents: () => [], endAgents: () => {} },
      ...{ stop: async () => {}, release: async () => {} },
    },
  });
  stopping = new AbortController();
  attempts = new PointGate({
    ...{
      roster,
      replacements,
      previousRun,
      spareNodes: 1,
      log,
      stopping: stopping.signal,
      clock: createSteadyClock(),
    },
    timeBudget: new TimeBudget(null, 0),
    planning: { make: async () => planned(), point: (ordinal) => ({ ordinal }) as PlannedPoint },
    points: {
      run: async (_, { before }) => {
        causes.push(before?.cause?.summary);
        const outcome = ran.shift()?.() ?? DONE;
        if (outcome.status === 'failed') attempts.triesForLostNode();
        return outcome;
      },
    },
    deployment: () => ({}) as Deployment,
    interrupt: () => {},
    crippled: () => {},
  });
  for (const node of NODES)
    roster.hello({
      ...{ v: 1, node, incarnation: `${node}-a`, pid: 1, address: '127.0.0.1', epoch: 0 },
      ...{ generation: 0, processes: [] },
    });
  return previousRun;
}

/** node2 is frozen, or off. */
function loseNode(): PointOutcome {
  roster.watch(() => true);
  vi.advanceTimersByTime(DEFAULT_SUPERVISION.lostAfterMs / 2);
  for (const node of ['node1', 'node3'])
    roster.heartbeat({
      ...{ v: 1, node, incarnation: `${node}-a`, epoch: 1, generation: 1, processes: [] },
      ...{ alive: 0, rssBytes: 0, malformed: 0, leaving: false },
    });
  vi.advanceTimersByTime(DEFAULT_SUPERVISION.lostAfterMs / 2 + 500);
  return FAILED;
}

beforeEach(() => {
  vi.useFakeTimers();
  ran = [];
  causes = [];
  planned = () => {};
});
afterEach(() => {
  roster.close();
  vi.useRealTimers();
});

describe('a point that lost a node', () => {
  it('is tried again on the spare one', async () => {
    begin();
    ran.push(loseNode);
    expect(await attempts.run(1, 1)).toEqual(DONE);
    expect(roster.gone).toEqual([]);
    expect(causes).toHaveLength(2);
  });

  it('is not when the job was told to end while it was cleaned up, or while a node is looked for', async () => {
    begin();
    const failing = () => {
      const outcome = loseNode();
      stopping.abort();
      return outcome;
    };
    ran.push(failing);
    expect(await attempts.run(1, 1)).toEqual(FAILED);
    roster.close();
    begin();
    ran.push(loseNode);
    planned = () => stopping.abort();
    expect(await attempts.run(1, 1)).toMatchObject({ status: 'interrupted' });
    expect(causes).toHaveLength(2);
  });

  it('while the coordinator was away is tried again as well, once', async () => {
    const running = { ordinal: 1, startedAt: new Date(0), benchmarkStartedAt: null, cause: null };
    const remaining = { left: [1], running, exitCode: null, durations: [] };
    const previousRun = begin({ remaining, state: {}, handover: null } as unknown as FoundRun);
    // The boot gave the node up, and nobody is gone now.
    previousRun.lostAgent('node2');
    ran.push(() => FAILED);
    expect(await attempts.run(1, 1)).toEqual(DONE);
    expect(causes).toEqual(['the agent of node2 was lost while the coordinator was away', undefined]);
    ran.push(() => FAILED);
    expect(await attempts.run(2, 1)).toEqual(FAILED);
  });
});
