import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { markIn, type OwnerMark } from '../../os/processes/owner-mark.ts';
import type { Spawner } from '../start/spawn.ts';
import { findProcesses, isMarked, type Sought } from './marks.ts';

/** After this many search rounds the end is reported even if processes are left. */
const ROUNDS = 40;
const PAUSE_MS = 50;
/**
 * Consecutive searches in the place where a repeatedly forking process must be: together a few milliseconds.
 */
const LOOKS = 40;
/** The newest pids: searching so few is faster than a fork. */
const NEWEST = 20;

interface Left {
  readonly spawner: Spawner;
  /** The process group; null when there is none. */
  readonly group: number | null;
  readonly sought: Sought;
  readonly keeper: number | undefined;
}

/**
 * Sends SIGKILL to the processes that an ended one left behind, in its group, under the keeper or by its
 * mark, until none is found.
 */
export async function endLeft(left: Left): Promise<void> {
  const { spawner, group, sought } = left;
  // With a keeper everything in the tree is under one of the keeper's children, so one search is enough.
  // Without one the second search finds a process that was started between its parent's end and the first.
  const enough = left.keeper === undefined ? 2 : 1;
  for (let round = 0, clean = 0; round < ROUNDS && clean < enough; round++) {
    const inGroup = group !== null && spawner.signalGroup(group, 'SIGKILL');
    const near = killNear(left);
    const marked = await findProcesses(sought);
    for (const pid of marked) spawner.signal(pid, 'SIGKILL');
    const found = inGroup || near || marked.length > 0;
    clean = found ? 0 : clean + 1;
    // The global timer, which tests of the whole agent replace by their simulated clock.
    if (found) await sleep(PAUSE_MS);
  }
}

/**
 * A process that forks every few milliseconds is gone from its last place. Its parent has ended, so it is a
 * child of the keeper, or else among the newest pids.
 */
function killNear({ spawner, sought, keeper }: Left): boolean {
  if (sought.hard === undefined) return false;
  const near = () => (keeper === undefined ? newestPids() : childrenOf(keeper));
  return endQuickly(near, (pid, mark) => isMarked(mark, sought) && spawner.signal(pid, 'SIGKILL'));
}

/**
 * When nothing is wanted, every other child of the keeper is a leftover, with or without a mark. Spares the
 * process that holds a user's rootless podman namespace, because all of the user's containers share it.
 */
export function endStrays(spawner: Spawner, keeper: number): void {
  for (const pid of childrenOf(keeper))
    if (pid !== process.pid && !/^(podman pause|catatonit)$/m.test(textOf(`/proc/${pid}/comm`)))
      spawner.signal(pid, 'SIGKILL');
}

/** Searches `near` repeatedly, without a pause, as long as `end` ends one of them. */
export function endQuickly(
  near: () => readonly number[],
  end: (pid: number, mark: OwnerMark) => boolean,
): boolean {
  for (let look = 0; look < LOOKS; look++) {
    const ended = near().filter((pid) => {
      const mark = markIn(textOf(`/proc/${pid}/limits`));
      return mark !== undefined && end(pid, mark);
    });
    if (ended.length === 0) return look > 0;
  }
  return true;
}

/** Pids of a process's children; none where the kernel does not list them (CONFIG_PROC_CHILDREN). */
const childrenOf = (pid: number): number[] =>
  textOf(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((each) => each !== '')
    .map(Number);

export function newestPids(): number[] {
  const last = Number(textOf('/proc/loadavg').trim().split(' ').at(-1));
  return Array.from({ length: NEWEST }, (_, back) => last - back).filter((pid) => pid > 0);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
