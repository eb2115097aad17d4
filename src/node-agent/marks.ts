import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

/**
 * Processes are found by a mark in their environment: a child that made its own session (as engine schedulers
 * do) is in no process group of ours, but inherits it. Linux: /proc/<pid>/environ, NUL-separated, as of exec.
 */
const isPid = (name: string): boolean => /^[0-9]+$/.test(name);

const hasEntry = (environ: string, entry: string): boolean =>
  environ.startsWith(`${entry}\0`) || environ.includes(`\0${entry}\0`) || environ.endsWith(`\0${entry}`);

/** Pids of the processes whose environment holds one of `entries` (NAME=value). */
export async function findMarked(entries: readonly string[]): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>(entries.map((entry) => [entry, []]));
  const pids = (await readdir('/proc')).filter(isPid);
  await Promise.all(
    pids.map(async (pid) => {
      // Another user's process, or one that has ended meanwhile.
      const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
      for (const entry of entries) if (hasEntry(environ, entry)) found.get(entry)?.push(Number(pid));
    }),
  );
  return found;
}

/** The same for one entry without waiting, for the last moments of a process. */
export function findMarkedSync(entry: string): number[] {
  return readdirSync('/proc')
    .filter(isPid)
    .filter((pid) => {
      try {
        return hasEntry(readFileSync(`/proc/${pid}/environ`, 'latin1'), entry);
      } catch {
        return false;
      }
    })
    .map(Number);
}
