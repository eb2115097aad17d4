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
 * Names of shared memory that engines make and leave when they are killed: `psm_` of Python's
 * multiprocessing.shared_memory (CPython 3.11, vLLM), `sem.mp-` of its semaphores, `sglang_loads_` of SGLang 0.5.23.
 * Other names stay: people keep models in /dev/shm.
 */
const OF_ENGINES = /^(psm_|sem\.mp-|sglang_loads_)/;

/** Segments by name, with what tells one from a later one of the same name. */
export type Segments = ReadonlyMap<string, string>;

/** This user's segments with a name that engines give. */
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
 * Removes the segments that were made since `before` and that no process uses any more. What another process of this user
 * made meanwhile is in use as long as that process lives. Returns the names.
 */
export function removeSegments(before: Segments, directory = DIRECTORY): string[] {
  // In a PID namespace of its own an agent does not see everybody who may use a segment.
  if (process.ppid === 1) return [];
  const made = [...segments(directory)].filter(([name, id]) => before.get(name) !== id);
  if (made.length === 0) return [];
  const used = inUse(directory);
  const left = made.filter(([, id]) => !used.has(id)).map(([name]) => name);
  for (const name of left) {
    try {
      unlinkSync(join(directory, name));
    } catch {
      // Somebody else has removed it.
    }
  }
  return left;
}

/**
 * Files below the directory that a process has open or mapped, as `segments` tells them. Their names do not count: glibc
 * makes a semaphore under another name and links it to its own, so that the maps of all who use `sem.mp-x` show
 * `sem.8RtqUa (deleted)`.
 */
function inUse(directory: string): Set<string> {
  const used = new Set<string>();
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      const link = `/proc/${pid}/fd/${fd}`;
      try {
        // Files elsewhere are not asked about: a file server that does not answer would hold us up.
        if (readlinkSync(link).startsWith(`${directory}/`)) used.add(idOf(statSync(link)));
      } catch {
        // It was closed meanwhile.
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

/** Device and inode, with the device's two numbers as Linux puts them together in st_dev. */
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
