import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { eachEnvironment, isAlive, valueIn } from './marks.ts';

/** A process of an agent that is no more. */
export interface Leftover {
  readonly pid: number;
  readonly program: string;
  /** `<job>/<node>/<incarnation>` of the agent that started it. */
  readonly agent: string;
}

const PAUSE_MS = 50;
/** A process with much memory mapped takes its time to end. */
const PATIENCE_MS = 10_000;

/**
 * Ends what agents of this user left on this node: a living agent owns its processes, so those whose agent has ended
 * are nobody's. So are those of an earlier agent of the same name in the same job: we are there in its place.
 * Resolves with what it found, when that has ended.
 */
export async function clearLeftovers(place: { jobId: string; node: string }): Promise<Leftover[]> {
  const found = new Map<number, Leftover>();
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const left = await findLeftovers(place);
    for (const leftover of left) {
      found.set(leftover.pid, leftover);
      kill(leftover.pid);
    }
    if (left.length === 0 || performance.now() > until) return [...found.values()];
    await sleep(PAUSE_MS);
  }
}

async function findLeftovers({ jobId, node }: { jobId: string; node: string }): Promise<Leftover[]> {
  const left: Leftover[] = [];
  await eachEnvironment((pid, environ) => {
    const agent = valueIn(environ, 'SRTCTL_AGENT');
    const identity = valueIn(environ, 'SRTCTL_AGENT_ID');
    if (agent === undefined || identity === undefined || pid === process.pid || !isOwn(pid)) return;
    const alive = isAlive(identity);
    if (alive === undefined) return;
    const replaced = agent.slice(0, agent.lastIndexOf('/')) === `${jobId}/${node}`;
    if (alive && replaced) kill(Number(identity.split('/')[0]));
    if (!alive || replaced) left.push({ pid, agent, program: programOf(pid) });
  });
  return left;
}

/** root sees everybody's. */
function isOwn(pid: number): boolean {
  try {
    return statSync(`/proc/${pid}`).uid === process.getuid?.();
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

export function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '?';
  }
}
