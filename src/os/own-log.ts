import { write, writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';

/** Characters that wait for the disk; lines beyond them are lost. */
const MOST_WAITING = 1024 * 1024;
const AGAIN_MS = 100;

/**
 * A program's log of its own doings, on standard output (`fd`). A disk that is full takes lines from it, and nothing else; one
 * that stands still holds up nobody: lines wait for it beside the work.
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
      // A pipe whose reader is slow takes it later; a full disk does not.
      const isBusy = error?.code === 'EAGAIN';
      rest = error ? (isBusy ? rest : Buffer.alloc(0)) : rest.subarray(written);
      if (isBusy) setTimeout(pump, AGAIN_MS);
      else pump();
    });
  }

  process.on('exit', () => {
    try {
      // What is being written reaches the disk all the same.
      if (waiting !== '') writeSync(fd, waiting);
    } catch {
      // The last lines do not fit on the disk.
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
