import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { SrtctlError } from '../errors.ts';

/** The operating system's errors, for a person. */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the file system is full',
  EDQUOT: 'the quota is used up',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file, or a link to nothing',
  EISDIR: 'it is a directory',
  ENOENT: 'nothing can be created there',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links form a cycle',
};

/** Why a path cannot be written, in half a sentence. */
export function whyNotWritten(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return WORDS[code] ?? message;
}

/**
 * Creates a directory and its parents, one at a time, because Node's recursive mkdir never ends where a file system
 * refuses with ENOENT, as /proc does.
 * @throws the operating system's error
 */
export function makeDirectories(path: string): void {
  for (const each of missing(resolve(path))) mkdirSync(each);
}

/**
 * The same for a path that a person named.
 * @throws SrtctlError with the problem
 */
export function makeNamedDirectory(path: string): void {
  try {
    makeDirectories(path);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** The error for a path that a person named and that cannot be written. */
export const cannotWrite = (path: string, error: unknown): SrtctlError =>
  new SrtctlError('cannot-write', `cannot write ${path}: ${whyNotWritten(error)}`, {
    hint: 'choose another path',
    cause: error,
  });

/** The missing directories of a path, the outermost first. */
function missing(path: string): string[] {
  const found: string[] = [];
  for (let at = path; !isDirectory(at); at = dirname(at)) {
    // An existing file cannot become a directory.
    if (lstatSync(at, { throwIfNoEntry: false }) || dirname(at) === at)
      throw Object.assign(new Error(`${at} is not a directory`), {
        code: at === path ? 'EEXIST' : 'ENOTDIR',
      });
    found.unshift(at);
  }
  return found;
}

const isDirectory = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
};
