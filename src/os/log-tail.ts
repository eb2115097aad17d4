import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** The largest piece of one answer, bytes; well below the bus's limit for a message. */
const PIECE = 256 * 1024;

export interface LogPiece {
  readonly text: string;
  /** Byte after the last one in `text`, where the next piece starts. */
  readonly offset: number;
}

/**
 * The last `lines` lines of a file (of its last 256 KiB, and not before byte `from`). Throws when the file
 * does not exist.
 */
export const tailOf = (file: string, lines: number, from = 0): Promise<LogPiece> =>
  withFile(file, async (handle, size) => {
    // A shorter file was written anew.
    const text = await read(handle, Math.max(from > size ? 0 : from, size - PIECE), size);
    const all = text.split('\n');
    const ending = all.at(-1) === '' ? 1 : 0;
    return { text: all.slice(Math.max(0, all.length - ending - lines)).join('\n'), offset: size };
  });

/**
 * The last `most` bytes of a file between byte `from` and byte `to` (its end), from the beginning of a line.
 * `whole`: nothing between them is left out. Throws when the file does not exist.
 */
export const endOf = (
  file: string,
  { from, to, most }: { readonly from: number; readonly to: number | undefined; readonly most: number },
): Promise<{ text: string; whole: boolean }> =>
  withFile(file, async (handle, size) => {
    // A shorter file was written anew.
    const first = from > size ? 0 : from;
    const last = Math.max(first, Math.min(to ?? size, size));
    const begin = Math.max(first, last - most);
    const text = await read(handle, begin, last);
    const whole = begin === first;
    return { text: whole ? text : text.slice(text.indexOf('\n') + 1), whole };
  });

/**
 * The text after byte `offset`, at most 256 KiB, of whole characters of UTF-8. A file that has become shorter is read from
 * its start.
 */
export const pieceFrom = (file: string, offset: number): Promise<LogPiece> =>
  withFile(file, async (handle, size) => {
    const from = offset > size ? 0 : offset;
    const bytes = await readBytes(handle, from, Math.min(size, from + PIECE));
    const whole = bytes.subarray(0, bytes.length - cutCharacter(bytes));
    return { text: whole.toString('utf8'), offset: from + whole.length };
  });

/** Number of bytes at the end that begin a character of UTF-8 (RFC 3629) without its rest. */
function cutCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length - 1); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/**
 * Refuses pipes, because their reader would block. An event names the log's path, and any owner of an agent's
 * key can send one.
 */
async function withFile<T>(file: string, use: (handle: FileHandle, size: number) => Promise<T>): Promise<T> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error(`${file} is not a file`);
    return await use(handle, found.size);
  } finally {
    await handle.close();
  }
}

const read = async (handle: FileHandle, from: number, to: number): Promise<string> =>
  (await readBytes(handle, from, to)).toString('utf8');

async function readBytes(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.max(0, to - from));
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
  return buffer.subarray(0, bytesRead);
}
