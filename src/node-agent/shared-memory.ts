import { lstatSync, readdirSync, readFileSync, readlinkSync, unlinkSync } from 'node:fs';
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
    if (entry?.isFile() && entry.uid === process.getuid?.()) found.set(name, `${entry.dev}:${entry.ino}`);
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
  const left = made.map(([name]) => name).filter((name) => !used.has(join(directory, name)));
  for (const name of left) {
    try {
      unlinkSync(join(directory, name));
    } catch {
      // Somebody else has removed it.
    }
  }
  return left;
}

/** Paths below the directory that a process has open or mapped. */
function inUse(directory: string): Set<string> {
  const used = new Set<string>();
  const note = (path: string): void => {
    if (path.startsWith(`${directory}/`)) used.add(path);
  };
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      try {
        note(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        // It was closed meanwhile.
      }
    }
    for (const line of textOf(`/proc/${pid}/maps`).split('\n')) {
      const at = line.indexOf(directory);
      if (at > 0) note(line.slice(at));
    }
  }
  return used;
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
