import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';

const LOOK_EVERY_MS = 500;
/** A lock that was not renewed for this long belongs to a process that has ended or hangs. */
const STALE_MS = 10_000;

/**
 * Runs `work` while no other process does, because two jobs may copy one model to one disk. The lock is a
 * directory that its owner renews. So it works across PID namespaces, where an owner's pid means nothing, and
 * there is no moment between making the lock and writing the owner into it.
 * @param onWait called once when another process has the lock
 * @throws Error when the lock was lost during `work`, because this process stood still for longer than
 * STALE_MS
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
    // A lost lock belongs to another process now, so this one must not remove it.
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
