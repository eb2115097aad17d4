import { lstatSync, rmSync } from 'node:fs';

/** Whether it is a directory of this user, and not a link to one. */
export function isOwnDirectory(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === process.getuid?.();
}

/**
 * Removes a directory of ours. In one of somebody else's he could put a link in the place of what is being removed, and
 * have files of ours removed.
 */
export function removeOwnDirectory(path: string): void {
  if (isOwnDirectory(path)) rmSync(path, { recursive: true, force: true });
}
