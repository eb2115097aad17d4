import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_SUPERVISION, Roster } from '../../../src/coordinator/agents/roster.ts';
import { Cleaner } from '../../../src/coordinator/sweep/cleanup.ts';
import type { AllDesired } from '../../../src/messages/events/control.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import type { ProcessSpec } from '../../../src/messages/spec/process-spec.ts';
import { rosterParts } from '../../support/roster-parts.ts';
import { specOf } from '../../support/spec.ts';

let did: string[];
let bus: { isOpen: boolean; isGone: boolean };
let wanted: ProcessSpec[];
let generation: number;
let roster: Roster;
let cleaner: Cleaner;

/** An agent that obeys the broadcast at once. */
function obey(message: AllDesired): void {
  const kept = message.keep ?? [];
  did.push(message.end ? 'end' : `keep ${kept.length > 0 ? kept.join(' ') : 'nothing'}`);
  const alive = wanted.filter(({ role }) => kept.includes(role)).length;
  roster.heartbeat({
    ...{ v: 1, node: 'node1', incarnation: 'a', epoch: 1, generation: message.generation, processes: [] },
    ...{ alive, rssBytes: 0, malformed: 0, leaving: message.end },
  });
}

beforeEach(() => {
  did = [];
  bus = { isOpen: true, isGone: false };
  wanted = [];
  generation = 1;
  roster = new Roster(['node1'], DEFAULT_SUPERVISION, rosterParts(), () => performance.now());
  roster.hello({
    ...{ v: 1, node: 'node1', incarnation: 'a', pid: 1, address: '127.0.0.1' },
    ...{ epoch: 1, generation: 1, processes: [] },
  });
  cleaner = new Cleaner({
    ...{ epoch: 1, subjects: subjectsOf('cleanup-test'), roster, supervision: DEFAULT_SUPERVISION },
    bus: {
      get isOpen() {
        return bus.isOpen;
      },
      get isGone() {
        return bus.isGone;
      },
      publish: (_, message) => obey(message as AllDesired),
    },
    fleet: {
      get wanted() {
        return wanted;
      },
      agentOf: ({ node }) => node,
      clear: () => ++generation,
    },
    platform: { stop: async () => void did.push('stop agents') },
    log: pino({ level: 'silent' }),
  });
});

describe('a cleanup', () => {
  it('stops the benchmark first and then its servers, each group after the previous one is gone', async () => {
    wanted = [
      specOf({ id: 'agg-0-0' }),
      specOf({ id: 'router', role: 'frontend' }),
      specOf({ id: 'benchmark', role: 'benchmark' }),
    ];
    await cleaner.clean();
    expect(did).toHaveLength(3);
    expect(did[0]).toMatch(/^keep .*frontend.* agg/);
    expect(did[1]).toMatch(/^keep (?!.*frontend).*agg/);
    expect(did[2]).toBe('keep nothing');
  });

  it('begins when the work that was given up has ended, because that work may still start processes', async () => {
    let end = () => {};
    const boot = cleaner.after(
      new Promise<void>((_, reject) => {
        end = () => reject(new Error('given up'));
      }),
    );
    const cleaned = cleaner.clean();
    await new Promise(setImmediate);
    expect(did).toEqual([]);
    end();
    await expect(boot).rejects.toThrow('given up');
    await cleaned;
    expect(did).toEqual(['keep nothing']);
  });

  it('sends nothing before the bus was open, because nothing was started', async () => {
    bus.isOpen = false;
    await cleaner.clean();
    expect(did).toEqual([]);
  });

  it('ends agents by signal when the bus is gone', async () => {
    bus.isGone = true;
    await cleaner.clean();
    expect(did).toEqual(['stop agents']);
  });
});

it('dismisses the agents, admits no new one, and lets the platform end those that stay', async () => {
  await cleaner.dismissAgents();
  expect(did).toEqual(['end', 'stop agents']);
  expect(roster.stateOf('node1')).toBe('left');
});
