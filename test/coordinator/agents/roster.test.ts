import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_SUPERVISION, Roster } from '../../../src/coordinator/agents/roster.ts';
import { rosterParts } from '../../support/roster-parts.ts';

let now: number;
let told: string[];
let roster: Roster;
let busUp: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  now = 0;
  told = [];
  busUp = true;
  roster = new Roster(
    ['node1', 'node2'],
    DEFAULT_SUPERVISION,
    rosterParts({
      onTransition: (node, _, to) => told.push(`${node} ${to}`),
      onDefect: (what) => told.push(`defect ${what}`),
    }),
    () => now,
  );
  for (const node of ['node1', 'node2']) roster.hello(hello(node));
  roster.watch(() => busUp);
});
afterEach(() => {
  roster.close();
  vi.useRealTimers();
});

const hello = (node: string) => ({
  v: 1 as const,
  node,
  incarnation: `${node}-a`,
  pid: 1,
  address: '127.0.0.1',
  epoch: 1,
  generation: 0,
  processes: [],
});
const beat = (node: string, over: object = {}) =>
  roster.heartbeat({
    v: 1,
    node,
    incarnation: `${node}-a`,
    epoch: 1,
    generation: 0,
    processes: [],
    alive: 0,
    rssBytes: 0,
    malformed: 0,
    leaving: false,
    ...over,
  });
/** Time passes in ticks of the roster, while node2 sends heartbeats. */
function pass(ms: number, beating: string[] = ['node2']): void {
  for (let left = ms; left > 0; left -= 250) {
    now += 250;
    for (const node of beating) beat(node);
    vi.advanceTimersByTime(250);
  }
}

describe('the roster', () => {
  it('marks only a silent agent as suspect, and later as lost', () => {
    pass(1_500);
    expect(told).toContain('node1 suspect');
    pass(1_500);
    expect(told).toContain('node1 lost');
    expect(roster.stateOf('node2')).toBe('joined');
    expect(roster.lost).toEqual(['node1']);
    expect(roster.hello(hello('node1'))).toBe('lost');
  });

  it('does not count its own pauses as silence of agents', () => {
    // For ten seconds this process gets no CPU: one late tick, and the heartbeats are still in the socket.
    now += 10_000;
    vi.advanceTimersByTime(250);
    expect(told.filter((line) => /suspect|lost/.test(line))).toEqual([]);
    pass(1_000, ['node1', 'node2']);
    expect(roster.lost).toEqual([]);
  });

  it('does not count silence while the bus is away', () => {
    busUp = false;
    pass(20_000, []);
    expect(roster.lost).toEqual([]);
    busUp = true;
    pass(1_000, []);
    expect(roster.lost).toEqual([]);
  });

  it('reacts at once to a closed connection, and ignores the connection of a predecessor', () => {
    roster.disconnected('agent node1 node1-OLD', 'closed');
    pass(1_250);
    expect(roster.stateOf('node1')).toBe('joined');
    beat('node1');
    roster.disconnected('agent node1 node1-a', 'closed');
    expect(roster.stateOf('node1')).toBe('suspect');
    pass(1_000);
    expect(roster.stateOf('node1')).toBe('lost');
  });

  it('treats an agent that reconnected and is then silent as silent, and not as ended', () => {
    roster.disconnected('agent node1 node1-a', 'Client Closed');
    expect(roster.hasDied('node1')).toBe(true);
    roster.hello(hello('node1'));
    pass(3_500);
    expect(roster.stateOf('node1')).toBe('lost');
    expect(roster.hasDied('node1')).toBe(false);
  });

  it('is clean when every agent has the empty set and no process, or its lease has expired', () => {
    beat('node1', { generation: 5, alive: 1 });
    beat('node2', { generation: 5 });
    expect(roster.isClean(5)).toBe(false);
    expect(roster.unclean(5)).toEqual(['node1']);
    beat('node1', { generation: 5, alive: 0 });
    expect(roster.isClean(5)).toBe(true);
    expect(roster.isClean(6)).toBe(false);
  });

  it('counts a lost agent as clean only when its lease has expired, or its process has ended', () => {
    const empty = () => beat('node2', { generation: 9 });
    pass(3_000);
    empty();
    expect(roster.stateOf('node1')).toBe('lost');
    expect(roster.isClean(9)).toBe(false);
    pass(7_500);
    empty();
    expect(roster.isClean(9)).toBe(true);
    roster.ended('node2', 'was ended by SIGKILL');
    expect(roster.stateOf('node2')).toBe('lost');
    expect(roster.isClean(10)).toBe(true);
  });
});
