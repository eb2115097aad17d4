import { write, writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';

/** Limit of characters that wait for the disk; later lines are lost. */
const MOST_WAITING = 1024 * 1024;
const AGAIN_MS = 100;

/**
 * A program's own log, on standard output (`fd`). A full disk loses lines and has no other effect. A hung
 * disk blocks nothing, because lines wait beside the work.
 */
export function ownLog(fd = 1): Logger {
  let waiting = '';
  let rest = Buffer.alloc(0);
  let isWriting = false;

  function pump(): void {
    if (rest.length === 0) {
      rest = Buffer.from(waiting);
      waiting = '';
    }
    isWriting = rest.length > 0;
    if (!isWriting) return;
    write(fd, rest, (error, written) => {
      // A slow reader of a pipe takes the line later; a full disk does not.
      const isBusy = error?.code === 'EAGAIN';
      rest = error ? (isBusy ? rest : Buffer.alloc(0)) : rest.subarray(written);
      if (isBusy) setTimeout(pump, AGAIN_MS);
      else pump();
    });
  }

  process.on('exit', () => {
    try {
      // A write that has started still reaches the disk.
      if (waiting !== '') writeSync(fd, waiting);
    } catch {
      // The disk has no room for the last lines.
    }
  });
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    {
      write(line: string): void {
        if (waiting.length < MOST_WAITING) waiting += line;
        if (!isWriting) pump();
      },
    },
  );
}
