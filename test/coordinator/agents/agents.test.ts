import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Agents } from '../../../src/coordinator/agents/agents.ts';
import { Replacements } from '../../../src/coordinator/agents/replacements.ts';
import { DEFAULT_SUPERVISION, Roster } from '../../../src/coordinator/agents/roster.ts';
import { PreviousRun } from '../../../src/coordinator/takeover/previous-run.ts';
import type { AgentPlace, OnAgentEnd, Platform } from '../../../src/platform/launch/launcher.ts';
import { rosterParts } from '../../support/roster-parts.ts';

const JOIN_MS = 60_000;
const places: AgentPlace[] = ['node1', 'node2', 'node3'].flatMap((node) => [
  { name: node, node, group: { name: '', image: 'engine' } },
  { name: `${node}/nginx`, node, group: { name: 'nginx', image: 'nginx' } },
]);
const names = places.map(({ name }) => name);

let roster: Roster;
let replacements: Replacements;
let agents: Agents;
let launched: string[];
/** The launcher saw an agent end. */
let onEnd: OnAgentEnd;

/** `adopted`: agents of an earlier coordinator that still run. */
function begin(spareNodes: number, adopted: readonly string[] = []): void {
  const platform: Platform = {
    ...{ addresses: new Map(), hostNames: 'addresses', containers: false, claim: null, launched: [] },
    launchAgents: (started, tell) => {
      launched.push(...started.map(({ name }) => name));
      onEnd = tell;
    },
    adoptAgents: (_, __, tell) => {
      onEnd = tell;
      return [...adopted];
    },
    endAgents: () => undefined,
    stop: async () => {},
    release: async () => {},
  };
  const supervision = DEFAULT_SUPERVISION;
  roster = new Roster(names, supervision, rosterParts(), () => performance.now());
  agents = new Agents({
    ...{ spec: { jobDir: '/out/1', jobId: '1' }, agents: places, platform, roster, supervision },
    previousRun: new PreviousRun(null, []),
    ...{ joinTimeoutMs: JOIN_MS, spareNodes },
  });
  replacements = new Replacements({
    ...{ roster, platform, agents: places, supervision, relaunchAgents: true, joinTimeoutMs: JOIN_MS },
    ...{ spareNodes, without: [], log: pino({ level: 'silent' }) },
    launcher: agents,
  });
  agents.begin();
}

const hello = (name: string, incarnation = 'a') =>
  roster.hello({
    ...{ v: 1, node: name, incarnation: `${name}-${incarnation}`, pid: 1, address: '127.0.0.1' },
    ...{ epoch: 0, generation: 0, processes: [] },
  });

/** Resolves with the reason for the end of the boot. Time advances until then. */
async function booted(withinMs = JOIN_MS): Promise<string> {
  let ended = '';
  void agents.joined(replacements, new AbortController().signal).then(
    () => {
      ended = 'all have joined';
    },
    (error: Error) => {
      ended = error.message;
    },
  );
  for (let ms = 0; ended === '' && ms <= withinMs + 1_000; ms += 250) await vi.advanceTimersByTimeAsync(250);
  return ended;
}

beforeEach(() => {
  vi.useFakeTimers();
  launched = [];
});
afterEach(() => {
  roster.close();
  vi.useRealTimers();
});

describe('a node that is lost while the job boots', () => {
  it('is given up with all its agents when there is a spare node, and no new agent is started on it', async () => {
    begin(1);
    for (const name of names) if (name !== 'node2/nginx') hello(name);
    onEnd('node2/nginx', 'was ended by SIGKILL');
    const begun = performance.now();
    expect(await booted()).toBe('all have joined');
    expect(performance.now() - begun).toBeLessThan(JOIN_MS);
    expect(replacements.without).toEqual(['node2']);
    expect(roster.nodes).toEqual(['node1', 'node1/nginx', 'node3', 'node3/nginx']);
    expect(launched).toEqual(names);
    expect(roster.gone).toEqual([]);
    expect(replacements.hasSpareForLost).toBe(false);
  });

  it('because its agent never says hello gets the full time to join, and is then given up', async () => {
    begin(1);
    for (const name of names) if (!name.startsWith('node3')) hello(name);
    const begun = performance.now();
    expect(await booted()).toBe('all have joined');
    expect(performance.now() - begun).toBeLessThanOrEqual(JOIN_MS + 1_000);
    expect(replacements.without).toEqual(['node3']);
    expect(hello('node3')).toBe('lost');
  });

  it('is noticed at once when its launcher says that its agent was killed before its hello', async () => {
    begin(1);
    for (const name of names) if (!name.startsWith('node2')) hello(name);
    onEnd('node2', 'ended by SIGKILL', { isBeforeHello: true });
    const begun = performance.now();
    expect(await booted()).toBe('all have joined');
    expect(performance.now() - begun).toBeLessThan(JOIN_MS / 2);
    expect(replacements.without).toEqual(['node2']);
  });

  it('is not the end of an agent that was killed earlier, of a launch before', async () => {
    begin(1);
    for (const name of names) hello(name);
    expect(await booted()).toBe('all have joined');
    // A frozen agent, which its successor kills.
    roster.replace('node2');
    onEnd('node2', 'ended by SIGKILL', { isBeforeHello: true });
    expect(roster.stateOf('node2')).toBe('expected');
  });

  it('is noticed by its closed connection when the launcher reports nothing', async () => {
    begin(1);
    for (const name of names) hello(name);
    roster.disconnected('agent node2 node2-a', 'Client Closed');
    const begun = performance.now();
    expect(await booted()).toBe('all have joined');
    expect(performance.now() - begun).toBeLessThan(JOIN_MS / 2);
    expect(replacements.without).toEqual(['node2']);
  });

  it('is not given up when its agent connects again', async () => {
    begin(1);
    for (const name of names) if (name !== 'node3') hello(name);
    roster.disconnected('agent node2 node2-a', 'Client Closed');
    setTimeout(() => hello('node2'), 5_000);
    setTimeout(() => hello('node3'), 30_000);
    expect(await booted()).toBe('all have joined');
    expect(replacements.without).toEqual([]);
  });

  it('is given up too when its agent has said goodbye', async () => {
    begin(1);
    for (const name of names) hello(name);
    const rest = { epoch: 1, generation: 0, processes: [], alive: 0, rssBytes: 0, malformed: 0 };
    roster.heartbeat({ v: 1, node: 'node2', incarnation: 'node2-a', ...rest, leaving: true });
    expect(await booted()).toBe('all have joined');
    expect(replacements.without).toEqual(['node2']);
  });

  it('ends the run when no spare node is left, and the cause names the node', async () => {
    begin(0);
    for (const name of names) if (name !== 'node2') hello(name);
    onEnd('node2', 'was ended by SIGKILL');
    expect(await booted()).toBe(
      'the agent of node2 is lost: its agent was ended by SIGKILL; there is no spare node in its place',
    );
    roster.close();
    begin(1);
    for (const name of names) if (name.startsWith('node1')) hello(name);
    expect(await booted()).toBe(
      'the agent of node3 is lost: did not say hello within 60 s; there is no spare node in its place',
    );
  });

  it('together with all agents of its launch: each agent is started once more alone before the node is given up', async () => {
    begin(1);
    for (const name of names) if (name !== 'node3') hello(name, 'a');
    for (const name of ['node1', 'node2', 'node3'])
      onEnd(name, 'ended: srun ended with 233', { isShared: true });
    expect(launched).toEqual([...names, 'node1', 'node2', 'node3']);
    for (const name of ['node1', 'node2']) hello(name, 'b');
    onEnd('node3', 'ended: srun ended with 233', { isShared: false });
    expect(await booted()).toBe('all have joined');
    expect(replacements.without).toEqual(['node3']);
  });

  it('together with other agents and without a spare node: the cause names the agent that never said hello', async () => {
    begin(0);
    for (const name of names) if (name !== 'node3') hello(name);
    for (const name of ['node1', 'node2', 'node3'])
      onEnd(name, 'ended: srun ended with 233', { isShared: true });
    expect(launched).toEqual(names);
    expect(await booted()).toMatch(/^the agent of node3 is lost: .* there is no spare node in its place$/);
  });

  it('ends the run when it is the head node, although there are spare nodes', async () => {
    begin(2);
    for (const name of names) if (name !== 'node1/nginx') hello(name);
    onEnd('node1/nginx', 'was ended by SIGKILL');
    expect(await booted()).toBe(
      'the agent of node1/nginx is lost: its agent was ended by SIGKILL; node1 is the head node, without which the run cannot go on',
    );
  });
});

describe('an agent that ends while no boot waits for agents', () => {
  it('is not replaced after the boot was given up', async () => {
    begin(1);
    for (const name of names) if (name !== 'node3') hello(name);
    const giveUp = new AbortController();
    const waiting = agents.joined(replacements, giveUp.signal).catch(() => 'given up');
    giveUp.abort();
    await vi.advanceTimersByTimeAsync(250);
    expect(await waiting).toBe('given up');
    for (const name of ['node1', 'node2', 'node3'])
      onEnd(name, 'ended: srun ended with exit code 0', { isShared: true });
    expect(launched).toEqual(names);
  });

  it('is not replaced before the boot waits, because the bus was not open', () => {
    begin(1);
    agents.bootEnded();
    onEnd('node2', 'ended: srun ended with exit code 0', { isShared: true });
    expect(launched).toEqual(names);
  });

  it('is not replaced on a node that was given up', async () => {
    begin(1, names);
    for (const name of names) if (name.startsWith('node1')) hello(name);
    onEnd('node2', 'ended');
    onEnd('node2', 'ended');
    expect(await booted(1_000)).toBe('');
    expect(replacements.without).toEqual(['node2']);
    onEnd('node2/nginx', 'ended');
    expect(launched).toEqual(['node2']);
  });
});

it('an agent that is started a second time, alone, gets the full time to join', async () => {
  begin(1);
  for (const name of names) if (!name.startsWith('node3')) hello(name);
  setTimeout(() => onEnd('node2', 'ended: srun ended with 233', { isShared: true }), JOIN_MS - 500);
  setTimeout(() => hello('node2', 'b'), JOIN_MS + 500);
  expect(await booted()).toBe('all have joined');
  expect(replacements.without).toEqual(['node3']);
  roster.close();
  begin(2);
  for (const name of names) if (!name.startsWith('node3')) hello(name);
  setTimeout(() => onEnd('node2', 'ended: srun ended with 233', { isShared: true }), JOIN_MS - 500);
  expect(await booted(2 * JOIN_MS)).toBe('all have joined');
  expect(replacements.without).toEqual(['node3', 'node2']);
});

describe('a node that is lost between two points', () => {
  const signal = new AbortController().signal;

  it('gets a new agent when it is the head node, because no other node can replace it', async () => {
    begin(2);
    for (const name of names) hello(name);
    onEnd('node1', 'was ended by SIGKILL');
    expect(replacements.hasSpareForLost).toBe(true);
    const restored = replacements.restore(signal);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(launched.filter((name) => name === 'node1')).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(JOIN_MS + 1_000);
    expect(await restored).toEqual({
      summary: 'node node1 is lost; node1 is the head node, without which the run cannot go on',
      node: 'node1',
    });
    expect(replacements.without).toEqual([]);
  });
});
