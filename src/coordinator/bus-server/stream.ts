import { connect, DiscardPolicy, RetentionPolicy, StorageType } from 'nats';
import { CONNECT_MS, inboxOf, patiently, tlsOf } from '../../messages/bus/nats-bus.ts';
import { answerTo } from '../../messages/bus/nkey.ts';
import { keptSubjects, streamOf } from '../../messages/events/subjects.ts';
import type { JobKeys } from './keys.ts';

interface StreamOptions {
  readonly url: string;
  readonly seed: string;
  readonly jobId: string;
  /** Its role in the names of inboxes. */
  readonly role: 'coordinator' | 'librarian';
  readonly ca?: string | undefined;
  readonly patienceMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Makes the streams that keep transitions and results, so that a viewer who connects late sees all of them from the
 * start: srtctl's own, and the one of readers, which fills by itself from what their account imports.
 */
export async function createStreams(
  keys: Pick<JobKeys, 'coordinator' | 'librarian'>,
  options: Omit<StreamOptions, 'seed' | 'role'>,
): Promise<void> {
  await Promise.all([
    createStream({ ...options, seed: keys.coordinator.seed, role: 'coordinator' }),
    createStream({ ...options, seed: keys.librarian.seed, role: 'librarian' }),
  ]);
}

const createStream = (options: StreamOptions): Promise<void> =>
  patiently(options, () => tryToCreate(options));

async function tryToCreate({ url, seed, jobId, ca, role }: StreamOptions): Promise<void> {
  const connection = await connect({
    servers: url,
    authenticator: (nonce) => answerTo(seed, nonce),
    inboxPrefix: inboxOf(role),
    name: `${role} (stream)`,
    timeout: CONNECT_MS,
    // A request that fails because the server died is repeated.
    reconnect: false,
    ...tlsOf(url, ca),
  });
  try {
    const manager = await connection.jetstreamManager({ checkAPI: false });
    await manager.streams.add({
      name: streamOf(jobId),
      subjects: keptSubjects(jobId),
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      // No client can delete kept messages, because the server also answers to subjects that a publisher chose.
      deny_delete: true,
      deny_purge: true,
      max_bytes: 1024 * 1024 * 1024,
      // Repeated messages of the outboxes within this time are dropped (ns).
      duplicate_window: 120 * 1_000_000_000,
    });
  } finally {
    await connection.close();
  }
}
