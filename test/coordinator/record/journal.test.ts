import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Journal } from '../../../src/coordinator/record/journal.ts';
import type { Bus } from '../../../src/messages/bus/bus.ts';
import type { SrtEvent } from '../../../src/messages/events/events.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const event = (source: string, seq: number): SrtEvent => ({
  kind: 'agent.transition',
  v: 1,
  at: '2026-01-01T00:00:00.000Z',
  source,
  seq,
  node: 'node1',
  from: null,
  to: 'joined',
  why: 'test',
});

/** A stream that contains all events. A journal gets those from `from` on and before `until`. */
const stream = (events: readonly SrtEvent[], until: number): Pick<Bus, 'follow'> => ({
  follow(from, handle) {
    for (const [index, each] of events.entries())
      if (index + 1 >= from && index < until) handle(each, index + 1);
    return { stop: () => undefined, caughtUp: () => Promise.resolve() };
  },
});

it('contains each event once and in order, wherever the writer was killed and whatever it had noted', async () => {
  const cases = fc.record({
    sources: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 20 }),
    killedAt: fc.nat(20),
    noted: fc.nat(20),
    half: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ sources, killedAt, noted, half }) => {
      const seqs = new Map<string, number>();
      const events = sources.map((source) => {
        seqs.set(source, (seqs.get(source) ?? 0) + 1);
        return event(source, seqs.get(source) ?? 0);
      });
      const path = join(dir, `${Math.random()}.jsonl`);
      await new Journal(stream(events, killedAt), path, 1, () => undefined).close(0, []);
      if (half) await appendFile(path, '{"kind":"agent.trans');
      const from = Math.min(noted, killedAt, events.length) + 1;
      await new Journal(stream(events, events.length), path, from, () => undefined).close(0, []);
      const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
      expect(lines.map((line) => JSON.parse(line))).toEqual(events);
    }),
    { numRuns: 50 },
  );
});
