import type { WireClient } from './client.ts';

/** A longer answer is cut. */
const MOST_BYTES = 8 * 1024 * 1024;

/**
 * Asks for a short document.
 * @param limitMs how long the answer may take, after the request was sent
 * @throws Error with the reason in words
 */
export async function askClient(
  client: WireClient,
  path: string,
  limitMs: number,
): Promise<{ readonly status: number; readonly text: string }> {
  const pieces: Buffer[] = [];
  let size = 0;
  const { status, failure } = await client.exchange({
    ...{ method: 'GET', path, body: null, limitMs },
    onHead: () => undefined,
    onBody(bytes, from, to) {
      size += to - from;
      if (size <= MOST_BYTES) pieces.push(Buffer.from(bytes.subarray(from, to)));
      return false;
    },
  });
  if (failure !== null) throw new Error(failure);
  return { status, text: Buffer.concat(pieces).toString() };
}
