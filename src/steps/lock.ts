import { open, readFile, rm } from 'node:fs/promises';

const LOOK_EVERY_MS = 500;

/**
 * Runs `work` while nobody else on this node does the same: two jobs may want one model on one disk. A lock whose owner
 * is gone is taken over.
 */
export async function alone<T>(
  lockFile: string,
  onWait: (owner: number) => void,
  work: () => Promise<T>,
): Promise<T> {
  for (let told = false; ; told = true) {
    if (await take(lockFile)) break;
    const owner = Number(await readFile(lockFile, 'utf8').catch(() => '0'));
    if (owner > 0 && isAlive(owner)) {
      if (!told) onWait(owner);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    } else await rm(lockFile, { force: true });
  }
  try {
    return await work();
  } finally {
    await rm(lockFile, { force: true });
  }
}

async function take(lockFile: string): Promise<boolean> {
  try {
    const file = await open(lockFile, 'wx');
    await file.writeFile(String(process.pid));
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
