import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Records, recordsFileOf } from '../../../src/benchmarks/loadgen/figures/records.ts';
import { measured } from '../../support/measured.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function written(requests: number, mostBytes: number): Promise<Record<string, unknown>[]> {
  const path = join(dir, recordsFileOf(4));
  const records = new Records(path, 1_000, mostBytes);
  for (let index = 0; index < requests; index++)
    records.add(measured({ index, startedAt: 1_000.5, ttftMs: 20, gapsMs: [1.25, 2], outputTokens: 3 }));
  await records.end();
  return (await readFile(path, 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

describe('the lines of requests', () => {
  it('have times from the begin of the window in ms, and gaps in whole µs', async () => {
    const [head, first] = await written(2, 1e6);
    expect(head).toEqual({ v: 1, since: expect.any(Number), unit: 'ms' });
    expect(first).toEqual({
      ...{ i: 0, intended: 0.5, sent: 0.5, first: 20.5, last: 20.5, end: 20.5, gapsUs: [1_250, 2_000] },
      ...{
        chunks: 3,
        asked: [1, 3],
        tokens: [1, 3],
        bytes: 1_000,
        status: 200,
        finish: 'length',
        error: null,
      },
    });
  });

  it('are kept up to a size, and the last one says how many were left out', async () => {
    const lines = await written(1_000, 10_000);
    const kept = lines.slice(1, -1);
    expect(lines.at(-1)).toEqual({ leftOut: 1_000 - kept.length });
    expect(kept.length).toBeGreaterThan(20);
    expect(kept.length).toBeLessThan(80);
  });

  it('are not written when the recipe wants none, and a directory that is gone stops nothing', async () => {
    const none = new Records(join(dir, 'none'), 0, 0);
    none.add(measured());
    await none.end();
    expect(await readdir(dir)).toEqual([]);
    const lost = new Records(join(dir, 'gone', 'a'), 0, 1e6);
    for (let index = 0; index < 1_000; index++) lost.add(measured({ index }));
    await lost.end();
  });
});
