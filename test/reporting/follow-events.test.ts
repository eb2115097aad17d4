import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { EventFile, type PlacedEvent } from '../../src/reporting/follow-events.ts';
import { wholeRun } from './made.ts';

const directory = mkdtempSync(join(tmpdir(), 'srtctl-events-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('the file of events', () => {
  it('is read as it grows, each event once, also when a line is half written', async () => {
    const path = join(directory, 'events.jsonl');
    const file = new EventFile(path);
    const seen: PlacedEvent[] = [];
    const read = () => file.read((placed) => seen.push(placed));
    await read();
    const lines = wholeRun(0).map((event) => `${JSON.stringify(event)}\n`);
    const text = lines.join('');
    appendFileSync(path, text.slice(0, 500));
    await read();
    appendFileSync(path, text.slice(500));
    await read();
    await read();
    expect(seen.map(({ event }) => event.seq)).toEqual([1, 2, 3, 5, 6, 7, 8, 9]);
    expect(seen.at(-1)?.next).toBe(Buffer.byteLength(text));
  });
});
