import { mkdir, open, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Directory in a point's directory that keeps the files of earlier attempts. */
export const attemptDir = (pointDir: string, attempt: number): string => join(pointDir, `attempt-${attempt}`);

/**
 * Makes a point's directory for an attempt (from 1). Moves the files of the previous attempt aside, so that none of
 * them is taken for a file of this attempt.
 */
export async function prepareAttempt(pointDir: string, attempt: number): Promise<void> {
  await mkdir(pointDir, { recursive: true });
  if (attempt === 1) return;
  const kept = attemptDir(pointDir, attempt - 1);
  const left = (await readdir(pointDir)).filter((name) => !/^attempt-\d+$/.test(name));
  await mkdir(kept, { recursive: true });
  for (const name of left) await rename(join(pointDir, name), join(kept, name));
}

/**
 * Makes the files that were created or renamed in a point's directory, and the directory itself, survive a power cut.
 */
export async function syncPoint(pointDir: string): Promise<void> {
  await Promise.all([syncDirectory(pointDir), syncDirectory(dirname(pointDir))]);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } catch (error) {
    // Some shared file systems do not have this call; they write names at once.
    if (!['EINVAL', 'ENOTSUP', 'EBADF', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  } finally {
    await directory.close();
  }
}
