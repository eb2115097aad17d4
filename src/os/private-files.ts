import { randomUUID } from 'node:crypto';
import { chmodSync, constants, lstatSync, mkdirSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { SrtctlError } from './errors.ts';
import { isOwnDirectory } from './own-directory.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Writes a file that only its owner can read: made anew under a name that nobody can foresee (so no link that somebody
 * put there is followed), with mode 0600 from its first moment, synced, and then renamed over `path`.
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
 * Makes a directory that only its owner can enter. One that is there already is taken only when it is a directory, not
 * a link, and ours: in /tmp anybody may have put it there.
 * @throws SrtctlError when it is somebody else's
 */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!isOwnDirectory(path))
      throw new SrtctlError('not-ours', `${path} is there already and is not a directory of this user`, {
        hint: 'somebody may have put it there: remove it, or set TMPDIR to a directory of your own',
      });
  }
  // What the umask left away or an earlier run left open.
  chmodSync(path, 0o700);
}

/**
 * Makes a job's directory, which all may read and nobody else may write. One that is there already is taken only when it
 * is ours: where many write into one directory, somebody may have foreseen the job's id.
 * @throws SrtctlError when it is somebody else's, or anybody can write in it
 */
export function makeJobDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // What was made here and now is ours, also on file systems that say nothing of it.
    if (!isOwnDirectory(path) || (lstatSync(path).mode & 0o002) !== 0)
      throw new SrtctlError('not-ours', `${path} is there already, and others can write in it`, {
        hint: 'somebody may have put it there: remove it, or choose another directory with --output',
      });
  }
}
