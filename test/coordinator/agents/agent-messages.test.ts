import { beforeEach, describe, expect, it } from 'vitest';
import { AgentMessages } from '../../../src/coordinator/agents/agent-messages.ts';
import type { Roster } from '../../../src/coordinator/agents/roster.ts';
import type { Bus } from '../../../src/messages/bus/bus.ts';
import type { Heartbeat, Hello } from '../../../src/messages/events/control.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import { postTo } from '../../support/roster-parts.ts';

const s = subjectsOf('messages-test');
const hello: Hello = {
  ...{ v: 1, node: 'node1', incarnation: 'a', pid: 1, address: '127.0.0.1' },
  ...{ epoch: 0, generation: 0, processes: [] },
};
const heartbeat: Heartbeat = {
  ...{ v: 1, node: 'node1', incarnation: 'a', epoch: 2, generation: 7, processes: [] },
  ...{ alive: 0, rssBytes: 0, malformed: 0, leaving: false },
};

let answer: ReturnType<Roster['hello']>;
let isDecided: boolean;
let heard: string[];
/** Publishes a message on a subject; returns the answers. */
let say: (subject: string, message: unknown, pattern?: string) => unknown[];

beforeEach(() => {
  answer = 'welcome';
  isDecided = true;
  heard = [];
  const handlers = new Map<string, (subject: string, message: unknown) => unknown[]>();
  const bus: Pick<Bus, 'subscribe'> = {
    subscribe: (pattern, schema, handle) =>
      handlers.set(pattern, (subject, message) => {
        const answers: unknown[] = [];
        const respond = (reply: unknown) => answers.push(reply);
        handle({ subject, message: schema.parse(message), respond });
        return answers;
      }),
  };
  say = (subject, message, pattern = subject) => handlers.get(pattern)?.(subject, message) ?? [];
  new AgentMessages({
    ...{ bus, subjects: s, supervision: { leaseMs: 10_000, heartbeatMs: 1_000 } },
    roster: {
      hello: () => answer,
      heartbeat: ({ generation }) => void heard.push(`heartbeat of generation ${generation}`),
    },
    fleet: {
      desiredOf: () => ({ v: 1, epoch: 2, generation: 7, processes: [] }),
      get isDecided() {
        return isDecided;
      },
    },
    planning: { found: ({ node }) => void heard.push(`found ${node}`) },
    clocks: { measure: (node) => void heard.push(`measure ${node}`) },
    epochLock: {
      heard: (epoch) => void heard.push(`lease of epoch ${epoch}`),
      agentObeys: (epoch) => void heard.push(`obeys epoch ${epoch}`),
    },
    post: postTo({ sweep: (event) => heard.push(JSON.stringify(event)) }),
    log: { warn: () => {} },
  }).subscribe();
});

const sayHello = (over: Partial<Hello> = {}) => say(s.hello('node1'), { ...hello, ...over }, s.hello('*'));

describe('a hello', () => {
  it('is answered with the desired state and the times to keep', () => {
    expect(sayHello()).toEqual([
      {
        ...{ v: 1, welcome: true, leaseMs: 10_000, heartbeatMs: 1_000, epoch: 2, generation: 7 },
        desired: { v: 1, epoch: 2, generation: 7, processes: [] },
      },
    ]);
    expect(heard).toEqual(['found node1', 'measure node1', 'obeys epoch 0']);
  });

  it('of an agent of the previous run is answered without a desired state until this coordinator has wanted something', () => {
    isDecided = false;
    expect(sayHello({ epoch: 1 })).toMatchObject([{ welcome: true, desired: null }]);
    expect(sayHello({ epoch: 0 })).toMatchObject([{ welcome: true, desired: { processes: [] } }]);
    isDecided = true;
    expect(sayHello({ epoch: 1 })).toMatchObject([{ welcome: true, desired: { generation: 7 } }]);
  });

  it.each([
    ['unknown', 'this node is not of the allocation'],
    ['lost', 'this node is held for lost'],
    ['late', 'the job is over'],
  ] as const)('is refused when the agent is %s', (how, reason) => {
    answer = how;
    expect(sayHello()).toEqual([{ v: 1, welcome: false, reason }]);
  });

  it('on the subject of another agent is ignored', () => {
    expect(say(s.hello('node2'), hello, s.hello('*'))).toEqual([]);
    expect(heard).toEqual([]);
  });
});

describe('a heartbeat', () => {
  it('goes to the roster, and is answered when it says goodbye', () => {
    expect(say(s.heartbeat('node1'), heartbeat, s.heartbeat('*'))).toEqual([]);
    const goodbye = { ...heartbeat, leaving: true };
    expect(say(s.heartbeat('node1'), goodbye, s.heartbeat('*'))).toEqual([{ v: 1, heard: true }]);
    expect(heard).toEqual(Array(2).fill(['obeys epoch 2', 'heartbeat of generation 7']).flat());
  });

  it('on the subject of another agent is ignored', () => {
    expect(say(s.heartbeat('node2'), heartbeat, s.heartbeat('*'))).toEqual([]);
    expect(heard).toEqual([]);
  });
});

it('a lease of another coordinator is shown to the epoch lock', () => {
  say(s.allLease, { v: 1, epoch: 3, generation: 1, lost: [] });
  expect(heard).toEqual(['lease of epoch 3']);
});

it('a cancel is answered, and interrupts the sweep', () => {
  expect(say(s.cancel, { v: 1, by: 'bob' })).toEqual([{ v: 1, accepted: true }]);
  expect(heard.map((text) => JSON.parse(text))).toEqual([
    { type: 'sweep.interrupt', why: 'cancelled by bob', exitCode: 143 },
  ]);
});
