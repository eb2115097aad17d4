import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** A thread reads more chunks a second than so many streams of a fast engine send, at half of a core. */
const STREAMS_A_THREAD = 512;
const MOST_THREADS = 16;
/** Open files besides connections. */
const OTHER_FILES = 64;

/** Threads for a concurrency: as the config says, or by what it needs and half of the machine's cores. */
export function threadsFor(
  { clientThreads }: { readonly clientThreads: number | null },
  concurrency: number,
  cores = availableParallelism(),
): number {
  if (clientThreads !== null) return Math.min(clientThreads, concurrency);
  const affordable = Math.max(1, Math.min(Math.floor(cores / 2), MOST_THREADS));
  return Math.min(Math.ceil(concurrency / STREAMS_A_THREAD), affordable);
}

/**
 * Node raises its soft limit of open files to the hard one at its start, so this is what the machine allows.
 * undefined: unknown, or without a limit.
 */
export function openFilesLimit(): number | undefined {
  try {
    const line = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line ? Number(line[1]) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws Error when so many connections at once would need more open files than this process may have */
export function requireOpenFiles(concurrency: number, limit = openFilesLimit()): void {
  const needed = concurrency + OTHER_FILES;
  if (limit === undefined || needed <= limit) return;
  throw new Error(
    `concurrency ${concurrency} needs ${needed} open files, and this process may have ${limit}: raise the hard limit on the benchmark's node (ulimit -Hn; LimitNOFILE of slurmd or of the container runtime)`,
  );
}
