import { open } from 'node:fs/promises';
import { parseEvents, type SrtEvent } from '../../messages/events/events.ts';

/**
 * A point has some KiB of events, a point on a thousand nodes some MiB, and a sweep of thousands has hundreds of MiB.
 */
const RECENT_BYTES = 16 * 1024 * 1024;

/** The last events of events.jsonl. The cause of a point's failure is searched in them, however long the sweep is. */
export async function recentEvents(path: string, bytes = RECENT_BYTES): Promise<SrtEvent[]> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const from = Math.max(size - bytes, 0);
    const buffer = Buffer.alloc(size - from);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    const text = buffer.toString('utf8', 0, bytesRead);
    // The first line is usually incomplete.
    return parseEvents(from === 0 ? text : text.slice(text.indexOf('\n') + 1));
  } finally {
    await file.close();
  }
}
