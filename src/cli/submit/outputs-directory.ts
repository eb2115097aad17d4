import { randomUUID } from 'node:crypto';
import { lstatSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SrtctlError } from '../../os/errors.ts';

const HINT = 'choose another directory with --output, SRTCTL_OUTPUT, or output_dir in srtslurm.yaml';

/** The operating system's errors, for a person. */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the file system is full',
  EDQUOT: 'the quota is used up',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file, or a link to nothing',
  ENOENT: 'no directory can be created there',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links form a cycle',
};

/**
 * Creates the parent of job directories and checks that it is writable, before anything is submitted or
 * started.
 * @throws SrtctlError with the problem
 */
export function makeOutputsDirectory(path: string): void {
  try {
    // One at a time, because Node's recursive mkdir never ends where a file system refuses with ENOENT, as
    // /proc does.
    for (const each of missing(path)) mkdirSync(each);
    const probe = join(path, `.srtctl-${randomUUID()}`);
    try {
      writeFileSync(probe, 'x'.repeat(4_096));
    } finally {
      rmSync(probe, { force: true });
    }
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new SrtctlError('no-outputs', `cannot write outputs to ${path}: ${WORDS[code] ?? message}`, {
      hint: HINT,
      cause: error,
    });
  }
}

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
