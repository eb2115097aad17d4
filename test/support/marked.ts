import { findProcesses } from '../../src/node-agent/leftovers/marks.ts';

/** Pids of the processes whose environment holds one of `entries` (NAME=value). */
export async function findMarked(entries: readonly string[]): Promise<Map<string, number[]>> {
  const found = await Promise.all(
    entries.map(async (entry) => [entry, await findProcesses({ entry })] as const),
  );
  return new Map(found);
}
