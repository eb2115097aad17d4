import {
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';

const DIRECTORY = '/dev/shm';
/**
 * Names of shared memory that engines create and leave when they are killed: `psm_` of Python's
 * multiprocessing.shared_memory (CPython 3.11, vLLM), `sem.mp-` of its semaphores, `sglang_loads_` of SGLang
 * 0.5.23. Other names stay, because people keep models in /dev/shm.
 */
const OF_ENGINES = /^(psm_|sem\.mp-|sglang_loads_)/;

/** Segments by name, with a value that distinguishes one from a later one of the same name. */
export type Segments = ReadonlyMap<string, string>;

/** This user's segments with an engine's name. */
export function segments(directory = DIRECTORY): Segments {
  const found = new Map<string, string>();
  for (const name of namesIn(directory)) {
    if (!OF_ENGINES.test(name)) continue;
    const entry = lstatSync(join(directory, name), { throwIfNoEntry: false });
    if (entry?.isFile() && entry.uid === process.getuid?.()) found.set(name, idOf(entry));
  }
  return found;
}

/**
 * Removes the segments that were created after `before` and that no process uses. Segments of this user's
 * other processes are in use as long as these live. Returns the names.
 */
export function removeSegments(before: Segments, directory = DIRECTORY): string[] {
  // An agent in its own PID namespace does not see all users of a segment.
  if (process.ppid === 1) return [];
  const made = [...segments(directory)].filter(([name, id]) => before.get(name) !== id);
  if (made.length === 0) return [];
  const used = inUse(directory);
  const left = made.filter(([, id]) => !used.has(id)).map(([name]) => name);
  for (const name of left) {
    try {
      unlinkSync(join(directory, name));
    } catch {
      // Another process has removed it.
    }
  }
  return left;
}

/**
 * Files below the directory that a process has open or mapped, in the form of `segments`. Names are ignored:
 * glibc creates a semaphore under another name and links it to its own, so that the maps of all users of
 * `sem.mp-x` show `sem.8RtqUa (deleted)`.
 */
function inUse(directory: string): Set<string> {
  const used = new Set<string>();
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      const link = `/proc/${pid}/fd/${fd}`;
      try {
        // Does not stat files elsewhere, because a file server that does not answer would block the agent.
        if (readlinkSync(link).startsWith(`${directory}/`)) used.add(idOf(statSync(link)));
      } catch {
        // It was closed in the meantime.
      }
    }
    for (const line of textOf(`/proc/${pid}/maps`).split('\n')) {
      const [, major = '', minor = '', inode = ''] = MAPPED.exec(line) ?? [];
      if (inode !== '' && line.includes(` ${directory}/`))
        used.add(`${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}:${inode}`);
    }
  }
  return used;
}

/** A line of /proc/PID/maps: addresses, rights, offset, device (hexadecimal), inode, path. */
const MAPPED = /^\S+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+) /;

/** Device and inode, with the device's two numbers combined as in st_dev. */
function idOf({ dev, ino }: Stats): string {
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  return `${major}:${minor}:${ino}`;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
