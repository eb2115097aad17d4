import { setTimeout as sleep } from 'node:timers/promises';
import { setting } from './argv.ts';
import { Fatal } from './fatal.ts';

/** The server cannot be reached. Every other error is final. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

const DEFAULT_SECONDS = 120;
const FIRST_WAIT_MS = 1_000;
const MOST_WAIT_MS = 5_000;

export interface Dependency<T> {
  /** The server's name in Dynamo's messages. */
  readonly name: 'NATS' | 'etcd';
  /** Rejects with Unreachable while the server cannot be reached. */
  readonly connect: () => Promise<T>;
  /** Runs before the process prints its last words (`says`). */
  readonly beforeTheEnd?: (says: string) => void;
  /** Whether the last words include the number of attempts. */
  readonly counts?: boolean;
}

/**
 * Connects as Dynamo does at its start. While the server cannot be reached it retries after 1, 2, 4, 5, 5… s,
 * for 120 s or NATS_STARTUP_CONNECT_TIMEOUT_SECONDS (ETCD_…); then the process ends with code 1. A refusal
 * ends it at once. Observed with dynamo.mocker and dynamo.frontend 1.6.1 (lib/runtime/src/transports/nats.rs
 * and etcd.rs): they connect to NATS first, and listen on no port meanwhile.
 * @throws Fatal with the last words of the real program
 */
export async function connectAtStart<T>(to: Dependency<T>): Promise<T> {
  const { name } = to;
  const seconds = setting(`${name.toUpperCase()}_STARTUP_CONNECT_TIMEOUT_SECONDS`, DEFAULT_SECONDS);
  const deadline = performance.now() + seconds * 1_000;
  for (let attempt = 1; ; attempt++) {
    try {
      const connected = await to.connect();
      if (attempt > 1)
        process.stdout.write(`INFO ${name} startup connection established after retry attempts=${attempt}\n`);
      return connected;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      const left = Math.max(deadline - performance.now(), 0);
      const wait = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), MOST_WAIT_MS, left);
      process.stdout.write(
        `WARN ${name} not reachable yet; retrying startup connection attempt=${attempt} error=${error.message} ` +
          `remaining=${left / 1_000}s retry_in=${wait / 1_000}s\n`,
      );
      await sleep(wait);
      if (wait < left) continue;
      const says = `${name} startup connection timed out after ${seconds} seconds`;
      to.beforeTheEnd?.(says);
      throw new Fatal(`Exception: ${says}${to.counts ? ` (${attempt} attempts)` : ''}`, { traceback: true });
    }
  }
}
