import { findMarked } from './marks.ts';
import type { Spawner } from './spawn.ts';

/** Rounds of looking for what a process left before its end is reported all the same. */
const ROUNDS = 40;
const PAUSE_MS = 50;

/** SIGKILL to what a process that has ended left behind, in its group or by its mark, until nothing of it is found. */
export async function endLeft(spawner: Spawner, group: number | null, mark: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const inGroup = group !== null && spawner.signalGroup(group, 'SIGKILL');
    const marked = (await findMarked([mark])).get(mark) ?? [];
    for (const pid of marked) spawner.signal(pid, 'SIGKILL');
    if (!inGroup && marked.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
