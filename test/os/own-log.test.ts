import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ownLog } from '../../src/os/own-log.ts';

it('does not block while its output does, and is complete and in order afterwards', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  const path = join(directory, 'fifo');
  execFileSync('mkfifo', [path]);
  // Opens both ends, so that neither open blocks.
  const fifo = await open(path, constants.O_RDWR);
  try {
    const log = ownLog(fifo.fd);
    const lines = Array.from({ length: 300 }, (_, index) => `${index} ${'x'.repeat(1_000)}`);
    // More than a pipe can hold, so a blocking write would never return.
    for (const line of lines) log.info(line);
    let text = '';
    while (text.split('\n').length <= lines.length) {
      const { buffer, bytesRead } = await fifo.read(Buffer.alloc(65_536));
      text += buffer.toString('utf8', 0, bytesRead);
    }
    const said = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).msg);
    expect(said).toEqual(lines);
  } finally {
    await fifo.close();
    await rm(directory, { recursive: true });
  }
});
