import { endLeft, endQuickly, newestPids } from '../leftovers/end-left.ts';
import { findProcessesSync, isMarked, type Sought } from '../leftovers/marks.ts';
import { removeSegments } from '../leftovers/shared-memory.ts';
import { mainProcess } from '../start/main-process.ts';
import type { Entry, TableOptions } from './entry.ts';

export function signalGroup(options: TableOptions, entry: Entry | undefined, signal: NodeJS.Signals): void {
  if (entry?.group == null) return;
  options.spawner.signalGroup(entry.group, signal);
}

/** The part outside of the process group may need another way to be stopped. */
export async function terminate(options: TableOptions, entry: Entry | undefined): Promise<void> {
  if (entry?.beyond && (await entry.beyond.terminate())) return;
  if (entry?.group == null) return;
  const main = mainProcess(entry.group);
  if (main === undefined || !options.spawner.signal(main, 'SIGTERM')) signalGroup(options, entry, 'SIGTERM');
}

/** Sends SIGKILL to all parts of it, wherever they are. */
export function kill(options: TableOptions, entry: Entry | undefined): void {
  signalGroup(options, entry, 'SIGKILL');
  void entry?.beyond?.kill();
}

/** To be called when no part of it is left outside of its process group. */
export function forgetBeyond(entry: Entry): void {
  entry.beyond?.over();
  entry.beyond = undefined;
}

/** The search criteria for everything that an entry has started. */
export function soughtOf(options: TableOptions, { mark, number }: Entry): Sought {
  return { entry: `SRTCTL_PROCESS=${mark}`, hard: options.owner?.hard, number };
}

/**
 * The main process has ended: ends the processes that it left behind, in its group or outside of it, then
 * releases the entry.
 */
export async function endRest(
  options: TableOptions,
  entry: Entry,
  onNothingBeyond?: () => void,
): Promise<void> {
  const { group } = entry;
  try {
    await entry.beyond?.kill();
  } catch (error) {
    options.onDefect(`what ${entry.spec.id} has beyond this node`, error);
  }
  onNothingBeyond?.();
  try {
    await endLeft({
      spawner: options.spawner,
      group,
      sought: soughtOf(options, entry),
      keeper: options.keeper,
    });
  } catch (error) {
    options.onDefect(`looking for what ${entry.spec.id} left`, error);
  }
  removeSegments(entry.segments);
  if (group !== null) options.guard.over(group);
  forgetBeyond(entry);
  entry.group = null;
}

/**
 * Sends SIGKILL to everything of this agent, at once, whatever state the machines are in: by process group
 * and by mark. For the last moments of the agent.
 */
export function killAll(options: TableOptions, entries: Iterable<Entry>): void {
  for (const { group } of entries) if (group !== null) options.spawner.signalGroup(group, 'SIGKILL');
  options.launcher?.killAllSync();
  const sought = { entry: `SRTCTL_AGENT=${options.agentMark}`, hard: options.owner?.hard };
  for (let round = 0; round < 5; round++) {
    const left = findProcessesSync(sought);
    if (left.length === 0) return;
    for (const pid of left) options.spawner.signal(pid, 'SIGKILL');
    endQuickly(newestPids, (pid, mark) => isMarked(mark, sought) && options.spawner.signal(pid, 'SIGKILL'));
  }
}
