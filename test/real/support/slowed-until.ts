import { setTimeout } from 'node:timers/promises';
import { signal } from '../../support/signal.ts';

/**
 * Lets the process run for 3 of every 33 ms until the promise is settled, and leaves it stopped. At full speed the core of
 * an engine generates a thousand tokens of a tiny model before the first of them has reached the client: it could not be
 * hurt in the middle of an answer, and its requests wait elsewhere.
 */
export async function slowedUntil<T>(pid: number, promise: Promise<T>): Promise<T> {
  let settled = false;
  const done = promise.finally(() => {
    settled = true;
  });
  done.catch(() => {});
  signal(pid, 'SIGSTOP');
  while (!settled) {
    signal(pid, 'SIGCONT');
    // A timer would come late on a busy machine.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3);
    signal(pid, 'SIGSTOP');
    await setTimeout(30);
  }
  return done;
}
