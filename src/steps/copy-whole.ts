import { open, rename } from 'node:fs/promises';

const PIECE = 16 * 1024 * 1024;

/**
 * Copies a file in pieces to `partial`, continues where an earlier try ended, and renames the file when it is
 * complete and on disk. `onPiece` gets the bytes of each piece, those of the earlier try first; it may throw
 * to stop.
 * @throws Error when the source ends before `size` bytes
 */
export async function copyWhole(
  from: string,
  to: string,
  { partial, size }: { readonly partial: string; readonly size: number },
  onPiece: (bytes: number) => void,
): Promise<void> {
  const source = await open(from, 'r');
  try {
    const target = await open(partial, 'a+');
    try {
      let at = (await target.stat()).size;
      if (at > size) {
        await target.truncate(0);
        at = 0;
      }
      if (at > 0) onPiece(at);
      const buffer = Buffer.allocUnsafe(Math.min(PIECE, Math.max(size, 1)));
      while (at < size) {
        const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, size - at), at);
        if (bytesRead === 0)
          throw new Error(`${from} has ${at} bytes instead of ${size}: the file has changed`);
        await target.appendFile(buffer.subarray(0, bytesRead));
        at += bytesRead;
        onPiece(bytesRead);
      }
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
  await rename(partial, to);
}
