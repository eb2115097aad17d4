import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClockOffset, ProcessTransition, SrtEvent } from '../../src/messages/events/events.ts';
import { explain } from '../../src/why/explain.ts';
import { readSignatures } from '../../src/why/signatures.ts';
import { timesOf } from '../../src/why/timeline.ts';
import { type Failure, failures } from './failures.ts';
import { eventsOf, told } from './left.ts';

const HOUR_MS = 3_600_000;
const T0 = Date.parse('2026-01-01T00:00:00Z');
const signatures = readSignatures(resolve('src/why/signatures.yaml'));
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const offset = (node: string, offsetMs: number, errorMs = 0.2): ClockOffset => ({
  ...{ kind: 'clock.offset', v: 1, at: new Date(T0).toISOString(), source: 'coordinator:1', seq: 1 },
  ...{ node, of: `agent:${node}:x`, offsetMs, errorMs },
});

/** The same event as the node would have dated it with another clock setting. */
const shifted = (event: SrtEvent, clocks: Readonly<Record<string, number>>): SrtEvent => {
  if (event.kind !== 'process.transition') return event;
  return { ...event, at: new Date(Date.parse(event.at) + (clocks[event.node] ?? 0)).toISOString() };
};

describe('the diagnosed cause', () => {
  const clock = fc.oneof(
    fc.constantFrom(0, HOUR_MS, -HOUR_MS, 1_400, -1_600),
    fc.integer({ min: -HOUR_MS, max: HOUR_MS }),
  );
  const nodes = ['node1', 'node2', 'node3'] as const;
  const clocks = fc.record({ node1: clock, node2: clock, node3: clock });

  it.each(failures.map((failure) => [failure.name, failure] as const))(
    'is the same whatever the clocks of the nodes say: %s',
    async (_, failure: Failure) => {
      const events = await eventsOf(root, failure, 0);
      const causeWith = (set: Readonly<Record<string, number>>) =>
        explain(
          [
            ...nodes.map((node) => offset(node, set[node] ?? 0)),
            ...events.map((event) => shifted(event, set)),
          ],
          0,
          told,
          signatures,
        );
      const right = await causeWith({});
      expect({ process: right.process ?? null, node: right.node }).toEqual({
        process: failure.cause.process,
        node: failure.cause.node,
      });
      await fc.assert(
        fc.asyncProperty(clocks, async (set) => {
          expect(await causeWith(set)).toEqual(right);
        }),
        { numRuns: 10 },
      );
    },
  );
});

describe('timesOf', () => {
  const ended = (node: string, at: number, seq = 1): ProcessTransition => ({
    ...{
      kind: 'process.transition',
      v: 1,
      at: new Date(T0 + at).toISOString(),
      source: `agent:${node}:x`,
      seq,
    },
    ...{ node, process: `p-${node}-${seq}`, role: 'decode', from: 'ready', to: 'failed', why: '', pid: 1 },
    ...{ exitCode: 1, signal: null, generation: 1, logFile: '' },
  });
  const orderOf = (events: readonly SrtEvent[], wanted: readonly ProcessTransition[]): string[] => {
    const times = timesOf(events, wanted);
    return [...times].sort(([, a], [, b]) => a - b).map(([event]) => (event as ProcessTransition).process);
  };

  it('orders by corrected times, and not by arrival, where the offsets are accurate enough', () => {
    const events = [ended('a', HOUR_MS + 500), ended('b', 200 - HOUR_MS)];
    const all = [offset('a', HOUR_MS), offset('b', -HOUR_MS), ...events];
    expect(orderOf(all, events)).toEqual(['p-b-1', 'p-a-1']);
  });

  it('orders by arrival where the offsets are not accurate enough', () => {
    const events = [ended('a', HOUR_MS + 500), ended('b', 200 - HOUR_MS)];
    const all = [offset('a', HOUR_MS, 200), offset('b', -HOUR_MS, 200), ...events];
    expect(orderOf(all, events)).toEqual(['p-a-1', 'p-b-1']);
  });

  it('orders events of one source by their numbers, whatever their times and arrival', () => {
    const events = [ended('a', 10, 2), ended('a', 10, 1), ended('a', 5, 3)];
    expect(orderOf([offset('a', 0), ...events], events)).toEqual(['p-a-1', 'p-a-2', 'p-a-3']);
  });

  it('orders events of an agent without a measured clock by arrival, in a job with measured clocks', () => {
    const events = [ended('a', 100), ended('b', HOUR_MS), ended('a', 300, 2)];
    expect(orderOf([offset('a', 0), ...events], events)).toEqual(['p-a-1', 'p-b-1', 'p-a-2']);
    const times = timesOf([offset('a', 0), ...events], events);
    expect([...times.values()].map((at) => Math.round(at - T0))).toEqual([100, 100, 300]);
  });

  it('orders by times in a job of an earlier release, which has no offsets', () => {
    const events = [ended('a', 500), ended('b', 200)];
    expect(orderOf(events, events)).toEqual(['p-b-1', 'p-a-1']);
  });

  it('gives a total order, keeps certain orders, and changes corrected times by their errors at most', () => {
    const event = fc.record({
      node: fc.constantFrom('a', 'b', 'c'),
      at: fc.integer({ min: 0, max: 2_000 }),
    });
    const error = fc.integer({ min: 0, max: 300 });
    const shift = fc.integer({ min: -HOUR_MS, max: HOUR_MS });
    const clock = fc.record({ error, shift });
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 15 }),
        fc.record({ a: clock, b: clock, c: clock }),
        (happened, clocks) => {
          const seqs = new Map<string, number>();
          // A node's events arrive in order; the order between nodes is random.
          const queues = new Map<string, number[]>();
          for (const { node, at } of [...happened].sort((x, y) => x.at - y.at))
            queues.set(node, [...(queues.get(node) ?? []), at]);
          const events = happened.map(({ node }) => {
            const seq = (seqs.get(node) ?? 0) + 1;
            seqs.set(node, seq);
            const at = queues.get(node)?.shift() ?? 0;
            return ended(node, at + clocks[node as 'a'].shift, seq);
          });
          const all = [
            ...(['a', 'b', 'c'] as const).map((node) => offset(node, clocks[node].shift, clocks[node].error)),
            ...events,
          ];
          const times = timesOf(all, events);
          expect(times.size).toBe(events.length);
          expect(new Set(times.values()).size).toBe(events.length);
          const trueAt = ({ node, at }: ProcessTransition) => Date.parse(at) - clocks[node as 'a'].shift;
          const errorOf = ({ node }: ProcessTransition) => clocks[node as 'a'].error + 1;
          for (const x of events)
            for (const y of events) {
              const isBefore = (times.get(x) ?? 0) < (times.get(y) ?? 0);
              if (x.node === y.node && x.seq < y.seq) expect(isBefore).toBe(true);
              if (trueAt(x) + errorOf(x) < trueAt(y) - errorOf(y)) expect(isBefore).toBe(true);
            }
          const most = 2 * Math.max(...Object.values(clocks).map(({ error: each }) => each + 1)) + 0.1;
          for (const x of events) expect(Math.abs((times.get(x) ?? 0) - trueAt(x))).toBeLessThanOrEqual(most);
        },
      ),
    );
  });
});
