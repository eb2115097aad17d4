import { randomUUID } from 'node:crypto';
import { chmodSync, constants, lstatSync, mkdirSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { SrtctlError } from '../errors.ts';
import { isOwnDirectory } from './own-directory.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Writes a file that only its owner can read. The file is created under an unpredictable name, so it follows
 * no planted link, with mode 0600 from the start, synced, and then renamed to `path`.
 */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  const file = await open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
}

/**
 * Makes a directory that only its owner can enter. An existing one is accepted only when it is a directory of
 * this user and no link, because in /tmp any user may have created it.
 * @throws SrtctlError when it belongs to another user
 */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!isOwnDirectory(path))
      throw new SrtctlError('not-ours', `${path} exists and is not a directory of this user`, {
        hint: 'another user may have created it: remove it, or set TMPDIR to a directory of your own',
      });
  }
  // Corrects a mode that the umask reduced or an earlier run left open.
  chmodSync(path, 0o700);
}

/**
 * Makes a job's directory, which everyone may read and only the owner may write. An existing one is accepted
 * only when it belongs to this user, because in a shared parent another user may have foreseen the job's id.
 * @throws SrtctlError when it belongs to another user, or when anybody can write to it
 */
export function makeJobDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // A directory that this call created is ours, even on file systems that do not report owners.
    if (!isOwnDirectory(path) || (lstatSync(path).mode & 0o002) !== 0)
      throw new SrtctlError('not-ours', `${path} exists, and other users can write to it`, {
        hint: 'another user may have created it: remove it, or choose another directory with --output',
      });
  }
}
