import type { LoadgenConfig } from './config.ts';
import { clientOf } from './request/client-of.ts';
import type { WireClient } from './wire/client.ts';

/** A client only for `run`; its connections are closed after it, or when `signal` fires. */
export async function withClient<T>(
  config: LoadgenConfig,
  signal: AbortSignal,
  run: (client: WireClient) => Promise<T>,
): Promise<T> {
  const client = await clientOf(config);
  const abort = (): void => client.close(STOPPED);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await run(client);
  } finally {
    signal.removeEventListener('abort', abort);
    client.close(STOPPED);
  }
}

/** Why requests end that a run no longer waits for. */
export const STOPPED = 'stopped';
