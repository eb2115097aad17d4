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

/** Bytes. The largest public recipe has a twentieth of it; the parser takes minutes and gigabytes for 50 MB. */
const MOST_BYTES = 2_000_000;

const [STICKY, BY_GROUP, BY_EVERYONE] = [0o1000, 0o020, 0o002];

export interface TrustOptions {
  /** SRTCTL_SAFE_DIRECTORY: directories, with colons between them, whose files are trusted whoever owns them; `*` = all. */
  readonly env: NodeJS.ProcessEnv;
  /** Told, in a line, of a file that the group can write. */
  readonly onWarning?: (line: string) => void;
}

/**
 * The text of a recipe or of srtslurm.yaml. What it says runs as this user, so only this user and root may have written
 * it (git refuses the repositories of other users for the same reason: safe.directory in git-config(1)).
 * @throws SrtctlError when somebody else owns the file or its directory, or everyone can write one of them
 */
export function readTrustedFile(path: string, { env, onWarning }: TrustOptions): string {
  // What is looked at and what is read is one file, also when somebody puts another one in its place meanwhile.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const file = fstatSync(fd);
    if (!file.isFile())
      throw new SrtctlError('not-a-file', `${path} is ${file.isDirectory() ? 'a directory' : 'no file'}`);
    if (file.size > MOST_BYTES)
      throw new SrtctlError(
        'too-large',
        `${path} has ${(file.size / 1e6).toFixed(1)} MB: no recipe is so large`,
        {
          hint: `at most ${MOST_BYTES / 1e6} MB are read`,
        },
      );
    const directory = dirname(realpathSync(path));
    if (!isSafe(directory, env.SRTCTL_SAFE_DIRECTORY ?? '')) {
      requireTrusted(path, file, directory);
      requireTrusted(directory, statSync(directory), directory);
      if ((file.mode & BY_GROUP) !== 0 && file.gid !== process.getgid?.())
        onWarning?.(`${path} can be written by its group: what it says runs as you (chmod g-w)`);
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
      `${path} belongs to ${nameOf(uid)}, and what it says would run as you`,
      {
        hint: hint('copy it'),
      },
    );
  // In a directory such as /tmp everyone can write, and nobody can replace what another user made (the sticky bit).
  if ((mode & BY_EVERYONE) !== 0 && (mode & STICKY) === 0)
    throw new SrtctlError('not-trusted', `everyone can write ${path}, and what it says would run as you`, {
      hint: hint('chmod o-w it'),
    });
}

/** The user's name, or the number of one that has none. */
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
