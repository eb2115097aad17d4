import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** A line of a file without its line feed, and the byte after it. */
export interface FileLine {
  readonly text: string;
  /** Byte of the file after this line, where the next one begins. */
  readonly next: number;
}

const LINE_FEED = 10;

/**
 * The lines of a file from byte `from` on, read in pieces of `piece` bytes; the file is open only while it is read, so
 * thousands can be read side by side. A line of more than `longest` bytes comes in pieces, so that a file without line
 * feeds takes no more memory. `partial`: the rest after the last line feed counts as a line, too. A file that is missing,
 * or is none (a pipe), has no lines.
 */
export async function* linesOf(
  file: string,
  {
    from = 0,
    piece = 64 * 1024,
    longest = 256 * 1024,
    partial = false,
  }: {
    readonly from?: number;
    readonly piece?: number;
    readonly longest?: number;
    readonly partial?: boolean;
  } = {},
): AsyncGenerator<FileLine> {
  let held = Buffer.alloc(0);
  let at = from;
  for (;;) {
    const read = await readAt(file, at, piece);
    at += read.length;
    let begin = 0;
    for (;;) {
      const end = read.indexOf(LINE_FEED, begin);
      if (end < 0) break;
      const line = Buffer.concat([held, read.subarray(begin, end)]);
      held = Buffer.alloc(0);
      begin = end + 1;
      yield { text: line.toString('utf8'), next: at - read.length + begin };
    }
    held = Buffer.concat([held, read.subarray(begin)]);
    const isLast = read.length < piece;
    if (held.length > longest || (isLast && partial && held.length > 0)) {
      yield { text: held.toString('utf8'), next: at };
      held = Buffer.alloc(0);
    }
    if (isLast) return;
  }
}

/** At most `most` bytes of a file from byte `from` on; none of a file that is missing, or is none. */
export async function readAt(file: string, from: number, most: number): Promise<Buffer> {
  // A pipe would block its reader.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
  if (!handle) return Buffer.alloc(0);
  try {
    if (!(await handle.stat()).isFile()) return Buffer.alloc(0);
    const buffer = Buffer.alloc(most);
    let filled = 0;
    while (filled < most) {
      const { bytesRead } = await handle.read(buffer, filled, most - filled, from + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  } finally {
    await handle.close();
  }
}
