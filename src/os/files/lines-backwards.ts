import { readAt } from './lines-of.ts';

const LINE_FEED = 10;
/** The first piece is small, because most readers want a few lines; each next one is twice as large. */
const FIRST_PIECE = 8 * 1024;
const LARGEST_PIECE = 256 * 1024;

/** A line of a file without its line feed, and its first byte. */
export interface LineBefore {
  readonly text: string;
  readonly from: number;
}

/**
 * The lines of a file before byte `end`, the last one first, read from there in growing pieces. A line of more than
 * 256 KiB comes in pieces. The part after the last line feed counts as a line.
 */
export async function* linesBackwards(file: string, end: number): AsyncGenerator<LineBefore> {
  let piece = FIRST_PIECE;
  let at = end;
  /** Bytes from `at` on that belong to a line whose beginning is not read yet. */
  let held = Buffer.alloc(0);
  let isFirst = true;
  while (at > 0) {
    const size = Math.min(piece, at);
    piece = Math.min(LARGEST_PIECE, piece * 2);
    at -= size;
    let bytes = Buffer.concat([await readAt(file, at, size), held]);
    // The line feed at the very end closes the last line, and begins none.
    if (isFirst && bytes.at(-1) === LINE_FEED) bytes = bytes.subarray(0, -1);
    isFirst = false;
    for (;;) {
      const feed = bytes.lastIndexOf(LINE_FEED);
      if (feed < 0) break;
      yield { text: bytes.toString('utf8', feed + 1), from: at + feed + 1 };
      bytes = bytes.subarray(0, feed);
    }
    held = bytes;
    if (held.length > LARGEST_PIECE) {
      yield { text: held.toString('utf8'), from: at };
      held = Buffer.alloc(0);
    }
  }
  if (held.length > 0) yield { text: held.toString('utf8'), from: 0 };
}
