import { open, stat } from 'node:fs/promises';

/** Most that one answer carries, bytes: well below the bus's limit for a message. */
const PIECE = 256 * 1024;

export interface LogPiece {
  readonly text: string;
  /** Byte after the last one in `text`: where to go on. */
  readonly offset: number;
}

/** The last `lines` lines of a file (of its last 256 KiB, and none before byte `from`). Throws when there is no such file. */
export async function tailOf(file: string, lines: number, from = 0): Promise<LogPiece> {
  const { size } = await stat(file);
  // A file that has become shorter was written anew.
  const text = await read(file, Math.max(from > size ? 0 : from, size - PIECE), size);
  const all = text.split('\n');
  const ending = all.at(-1) === '' ? 1 : 0;
  return { text: all.slice(Math.max(0, all.length - ending - lines)).join('\n'), offset: size };
}

/** What follows byte `offset`, at most 256 KiB. A file that has become shorter is read from its start. */
export async function pieceFrom(file: string, offset: number): Promise<LogPiece> {
  const { size } = await stat(file);
  const from = offset > size ? 0 : offset;
  const to = Math.min(size, from + PIECE);
  return { text: await read(file, from, to), offset: to };
}

async function read(file: string, from: number, to: number): Promise<string> {
  if (to <= from) return '';
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.alloc(to - from);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
