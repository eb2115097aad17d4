import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';

const LOOK_EVERY_MS = 500;
/** A lock that has not been renewed for so long belongs to a process that has ended or stands still. */
const STALE_MS = 10_000;

/**
 * Runs `work` while no other process does the same: two jobs may want one model on one disk. The lock is a directory that
 * its owner renews, so it holds across PID namespaces, where the pid of an owner means nothing, and between the making of
 * the lock and anything that is written into it.
 * @param onWait called once when another process has the lock
 * @throws Error when the lock was lost meanwhile, because this process stood still for longer than STALE_MS
 */
export async function alone<T>(lockFile: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  let lose: (error: Error) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    lose = reject;
  });
  lost.catch(() => undefined);
  const release = await take(lockFile, onWait, (error) =>
    lose(new Error(`${lockFile} was lost, because this process stood still: ${error.message}`)),
  );
  let isLost = false;
  lost.catch(() => {
    isLost = true;
  });
  try {
    return await Promise.race([work(), lost]);
  } finally {
    // The lock of the process that has taken over is not ours to remove.
    if (!isLost) await release();
  }
}

async function take(
  lockFile: string,
  onWait: () => void,
  onCompromised: (error: Error) => void,
): Promise<() => Promise<void>> {
  const options = { realpath: false, lockfilePath: lockFile, stale: STALE_MS, onCompromised };
  for (let told = false; ; told = true) {
    try {
      return await lock(lockFile, options);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
    }
    if (!told) onWait();
    await sleep(LOOK_EVERY_MS);
  }
}
