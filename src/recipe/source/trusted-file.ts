import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { SrtctlError } from '../../os/errors.ts';

/** Bytes, twenty times the largest public recipe. The parser takes minutes and gigabytes for 50 MB. */
const MOST_BYTES = 2_000_000;

const [STICKY, BY_GROUP, BY_EVERYONE] = [0o1000, 0o020, 0o002];

export interface TrustOptions {
  /** SRTCTL_SAFE_DIRECTORY: colon-separated directories whose files are trusted with any owner; `*` = all. */
  readonly env: NodeJS.ProcessEnv;
  /** Called with a line about a file that the group can write. */
  readonly onWarning?: (line: string) => void;
}

/**
 * The text of a recipe or of srtslurm.yaml. Its commands run as this user, so only this user and root may
 * have written it (git refuses the repositories of other users for the same reason: safe.directory in
 * git-config(1)).
 * @throws SrtctlError when another user owns the file or its directory, or everyone can write to one of them
 */
export function readTrustedFile(path: string, { env, onWarning }: TrustOptions): string {
  // Checks and reads one open file, because another user could replace the path in between.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const file = fstatSync(fd);
    if (!file.isFile())
      throw new SrtctlError('not-a-file', `${path} is ${file.isDirectory() ? 'a directory' : 'no file'}`);
    if (file.size > MOST_BYTES)
      throw new SrtctlError(
        'too-large',
        `${path} has ${(file.size / 1e6).toFixed(1)} MB: too large for a recipe`,
        {
          hint: `the limit is ${MOST_BYTES / 1e6} MB`,
        },
      );
    const directory = dirname(realpathSync(path));
    if (!isSafe(directory, env.SRTCTL_SAFE_DIRECTORY ?? '')) {
      requireTrusted(path, file, directory);
      requireTrusted(directory, statSync(directory), directory);
      if ((file.mode & BY_GROUP) !== 0 && file.gid !== process.getgid?.())
        onWarning?.(`${path} can be written by its group: its commands run as you (chmod g-w)`);
    }
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

const isSafe = (directory: string, allowed: string): boolean =>
  allowed
    .split(':')
    .some(
      (each) => each === '*' || (each !== '' && (directory === each || directory.startsWith(`${each}/`))),
    );

function requireTrusted(path: string, { uid, mode }: Stats, directory: string): void {
  const hint = (what: string): string =>
    `${what}, or allow the directory: SRTCTL_SAFE_DIRECTORY=${directory} (or --safe-directory)`;
  if (uid !== 0 && uid !== process.getuid?.())
    throw new SrtctlError(
      'not-trusted',
      `${path} belongs to ${nameOf(uid)}, and its commands would run as you`,
      {
        hint: hint('copy it'),
      },
    );
  // With the sticky bit, as in /tmp, everyone can write to the directory but only owners can replace their
  // files.
  if ((mode & BY_EVERYONE) !== 0 && (mode & STICKY) === 0)
    throw new SrtctlError('not-trusted', `everyone can write ${path}, and its commands would run as you`, {
      hint: hint('chmod o-w it'),
    });
}

/** The user's name, or the number of a user without one. */
function nameOf(uid: number): string {
  try {
    return execFileSync('id', ['-nu', String(uid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return `user ${uid}`;
  }
}
