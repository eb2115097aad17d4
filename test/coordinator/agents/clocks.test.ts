import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Clocks, offsetOf } from '../../../src/coordinator/agents/clocks.ts';
import type { EventBody } from '../../../src/messages/events/events.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';

const s = subjectsOf('clocks');
const silent = { debug: () => undefined };

it('the error of an offset is never larger than reported, however the two directions differ', () => {
  const ms = fc.double({ min: 0, max: 2_000, noNaN: true });
  const offset = fc.double({ min: -3_600_000, max: 3_600_000, noNaN: true });
  fc.assert(
    fc.property(
      offset,
      fc.array(fc.record({ there: ms, back: ms }), { minLength: 1, maxLength: 8 }),
      (off, trips) => {
        let now = 1_000;
        const samples = trips.map(({ there, back }) => {
          const askedAt = now;
          now += there + back;
          return { askedAt, answeredAt: now, at: askedAt + there + off };
        });
        const found = offsetOf(samples);
        expect(Math.abs((found?.offsetMs ?? 0) - off)).toBeLessThanOrEqual((found?.errorMs ?? 0) + 0.01);
        const least = Math.min(...trips.map(({ there, back }) => there + back));
        expect(found?.errorMs).toBeCloseTo(least / 2, 2);
      },
    ),
  );
  expect(offsetOf([])).toBeUndefined();
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Agents whose clocks are ahead by the given ms. A round trip takes `trip` ms; the agent reads its clock halfway. */
function world(ahead: Record<string, number>, incarnation = () => 'x') {
  const told: EventBody[] = [];
  let now = 0;
  let asked = 0;
  const clocks = new Clocks({
    bus: {
      async request(subject, _message, schema) {
        asked++;
        const node = Object.keys(ahead).find((name) => s.clock(name) === subject) ?? '';
        const trip = asked % 5 === 3 ? 1 : 40;
        if (Number.isNaN(ahead[node])) throw new Error('no answer');
        now += trip / 2;
        const at = now + (ahead[node] ?? 0);
        now += trip / 2;
        return schema.parse({ v: 1, at, source: `agent:${node}:${incarnation()}` });
      },
    },
    subjects: s,
    clock: { offsetMs: 0, now: () => now, date: () => new Date(now) },
    roster: { nodes: Object.keys(ahead), stateOf: () => 'joined' },
    record: { send: (body) => told.push(body) },
    log: silent,
  });
  clocks.begin();
  return { clocks, told, asked: () => asked };
}

it('publishes the offset of an agent that said hello, from the fastest of several answers', async () => {
  const { clocks, told, asked } = world({ node1: 3_600_000, node2: -5 });
  clocks.measure('node1');
  clocks.measure('node2');
  await vi.advanceTimersByTimeAsync(1);
  expect(asked()).toBe(10);
  expect(told).toEqual([
    { kind: 'clock.offset', node: 'node1', of: 'agent:node1:x', offsetMs: 3_600_000, errorMs: 0.5 },
    { kind: 'clock.offset', node: 'node2', of: 'agent:node2:x', offsetMs: -5, errorMs: 0.5 },
  ]);
  clocks.close();
});

it('measures again every few minutes, and publishes a change that is larger than the error', async () => {
  const ahead = { node1: 10 };
  const { clocks, told } = world(ahead);
  clocks.measure('node1');
  await vi.advanceTimersByTimeAsync(300_001);
  expect(told).toHaveLength(1);
  ahead.node1 = 100;
  await vi.advanceTimersByTimeAsync(300_000);
  expect(told.map((body) => body.kind === 'clock.offset' && body.offsetMs)).toEqual([10, 100]);
  clocks.close();
});

it('publishes nothing for an agent that does not answer, and still publishes the others', async () => {
  const { clocks, told } = world({ node1: Number.NaN, node2: 7 });
  clocks.measure('node1');
  clocks.measure('node2');
  await vi.advanceTimersByTimeAsync(1);
  expect(told.map((body) => body.kind === 'clock.offset' && body.node)).toEqual(['node2']);
  clocks.close();
});

it('keeps the answers of two agents on a node apart', async () => {
  let count = 0;
  const { clocks, told } = world({ node1: 7 }, () => (++count > 2 ? 'second' : 'first'));
  clocks.measure('node1');
  await vi.advanceTimersByTimeAsync(1);
  expect(told).toEqual([]);
  clocks.measure('node1');
  await vi.advanceTimersByTimeAsync(1);
  expect(told).toMatchObject([{ of: 'agent:node1:second' }]);
  clocks.close();
});
