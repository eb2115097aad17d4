import { once } from 'node:events';

/** Writes printable text, and waits while the reader is slower, so that long output is not held in memory. */
export async function writeAll(
  text: string,
  write: (text: string) => boolean = (each) => process.stdout.write(each),
): Promise<void> {
  if (!write(text)) await once(process.stdout, 'drain');
}
