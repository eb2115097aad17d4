import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { recentEvents } from '../../../src/coordinator/record/recent-events.ts';

it('returns the last events of a long sweep, each complete', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  try {
    const event = (seq: number) => ({
      kind: 'agent.transition',
      v: 1,
      at: new Date(0).toISOString(),
      source: 'coordinator:1',
      seq,
      node: 'nöde1',
      from: 'joined',
      to: 'suspect',
      why: 'test',
    });
    const lines = Array.from({ length: 10 }, (_, at) => `${JSON.stringify(event(at + 1))}\n`);
    const file = join(dir, 'events.jsonl');
    await writeFile(file, lines.join(''));
    const bytes = Buffer.byteLength(lines.slice(-3).join('')) + 20;
    expect((await recentEvents(file, bytes)).map(({ seq }) => seq)).toEqual([8, 9, 10]);
    expect(await recentEvents(file)).toHaveLength(10);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
