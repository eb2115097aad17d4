import { lstatSync, rmSync } from 'node:fs';

/** Whether the path is a directory of this user, and not a link to one. */
export function isOwnDirectory(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === process.getuid?.();
}

/**
 * Removes a directory of this user. In another user's directory the owner could replace a file by a link
 * during the removal, and so have files of this user removed.
 */
export function removeOwnDirectory(path: string): void {
  if (isOwnDirectory(path)) rmSync(path, { recursive: true, force: true });
}
