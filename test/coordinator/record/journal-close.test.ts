import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Journal } from '../../../src/coordinator/record/journal.ts';
import type { Follower } from '../../../src/messages/bus/bus.ts';
import { parseEvents, type SrtEvent, WIRE_VERSION } from '../../../src/messages/events/events.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const event = (seq: number): SrtEvent => ({
  kind: 'agent.transition',
  v: WIRE_VERSION,
  at: new Date(0).toISOString(),
  source: 'coordinator:1',
  seq,
  node: 'node1',
  from: null,
  to: 'joined',
  why: '',
});

it('an event whose acknowledgement was lost is in the file once', async () => {
  const follower: Follower = {
    stop: () => undefined,
    caughtUp: async () => undefined,
  };
  let tell: (event: SrtEvent, streamSeq: number) => void = () => undefined;
  const bus = {
    follow(_from: number, onEvent: typeof tell) {
      tell = onEvent;
      return follower;
    },
  };
  const path = join(dir, 'events.jsonl');
  const journal = new Journal(bus, path, 1, () => undefined);
  tell(event(1), 1);
  tell(event(2), 2);
  await journal.close(1_000, [event(2), event(3)]);
  expect(parseEvents(await readFile(path, 'utf8')).map(({ seq }) => seq)).toEqual([1, 2, 3]);
});
