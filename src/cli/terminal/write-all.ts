import { once } from 'node:events';

/** Writes printable text, and waits while the reader is slower, so that long output is not held in memory. */
export async function writeAll(
  text: string,
  write: (text: string) => boolean = (each) => process.stdout.write(each),
): Promise<void> {
  if (!write(text)) await once(process.stdout, 'drain');
}

/** Writes bytes as they are, and waits while the reader is slower. */
export async function writeBytes(out: NodeJS.WriteStream, data: Buffer): Promise<void> {
  if (!out.write(data)) await once(out, 'drain');
}
