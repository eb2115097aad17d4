import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pieceFrom } from '../../src/os/log-tail.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('pieces of a log end with whole characters, so that their texts together are the log', async () => {
  const file = join(directory, 'log');
  // A piece is 256 KiB, which is no multiple of three.
  const text = `${'€'.repeat(100_000)}\n${'😀'.repeat(100_001)}\n`;
  await writeFile(file, text);
  let read = '';
  let offset = 0;
  for (;;) {
    const piece = await pieceFrom(file, offset);
    if (piece.text === '') break;
    read += piece.text;
    offset = piece.offset;
  }
  expect(offset).toBe(Buffer.byteLength(text));
  expect(read === text).toBe(true);
});
