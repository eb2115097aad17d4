import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownerLives } from '../../os/processes/owner-mark.ts';
import { endQuickly, newestPids } from './end-left.ts';
import { agentAt } from './kin.ts';
import { eachProcess, isAlive, type Seen, valueIn } from './marks.ts';

/** A process of an ended agent. */
export interface Leftover {
  readonly pid: number;
  readonly program: string;
  /**
   * `<job>/<node>/<incarnation>` of the agent that started it, or that agent's pid where the process hides
   * it.
   */
  readonly agent: string;
}

/** The agent that a new agent replaces. */
interface Place {
  readonly jobId: string;
  readonly node: string;
}

const PAUSE_MS = 50;
/** A process with much mapped memory needs time to end. */
const PATIENCE_MS = 10_000;

/**
 * Ends the leftovers of this user's agents on this node. A living agent owns its processes, so those of an
 * ended agent are leftovers. Processes of an earlier agent with the same name in the same job are leftovers
 * too, because this agent replaces it. Resolves with the processes found, when they have ended.
 */
export async function clearLeftovers(place: Place): Promise<Leftover[]> {
  const found = new Map<number, Leftover>();
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const left = await findLeftovers(place);
    for (const leftover of left) {
      found.set(leftover.pid, leftover);
      kill(leftover.pid);
    }
    // A process that forks repeatedly is gone from the place where the search saw it.
    if (left.length > 0)
      endQuickly(newestPids, (pid, mark) => {
        if (lastAgentByMark({ pid, mark, environ: '' }, place) === undefined || !isOwn(pid)) return false;
        return kill(pid);
      });
    if (left.length === 0 || performance.now() > until) return [...found.values()];
    await sleep(PAUSE_MS);
  }
}

async function findLeftovers(place: Place): Promise<Leftover[]> {
  const left: Leftover[] = [];
  await eachProcess((seen) => {
    if (seen.pid === process.pid) return;
    const agent = lastAgentByMark(seen, place) ?? lastAgentByEnvironment(seen, place);
    if (agent === undefined || !isOwn(seen.pid)) return;
    left.push({ pid: seen.pid, agent, program: programOf(seen.pid) });
  });
  return left;
}

/** The ended agent of a leftover, by the limit that it cannot lose; undefined for other processes. */
function lastAgentByMark({ pid, mark, environ }: Seen, { jobId, node }: Place): string | undefined {
  if (mark?.kind !== 'agent') return undefined;
  const name = valueIn(environ, 'SRTCTL_AGENT') ?? `the agent with pid ${mark.pid}`;
  const alive = ownerLives(mark);
  // Inside a PID or time namespace, the owner's pid and start are those of that namespace.
  if (alive === undefined || !isOfOurNamespaces(pid)) return undefined;
  if (!alive) return name;
  if (mark.pid === process.pid || agentAt(mark.pid) !== `${jobId}/${node}`) return undefined;
  kill(mark.pid);
  return name;
}

/** The same by its environment, unless the process has erased it. */
function lastAgentByEnvironment({ environ }: Seen, { jobId, node }: Place): string | undefined {
  const agent = valueIn(environ, 'SRTCTL_AGENT');
  const identity = valueIn(environ, 'SRTCTL_AGENT_ID');
  if (agent === undefined || identity === undefined) return undefined;
  const alive = isAlive(identity);
  if (alive === undefined) return undefined;
  const replaced = agent.slice(0, agent.lastIndexOf('/')) === `${jobId}/${node}`;
  if (alive && replaced) kill(Number(identity.split('/')[0]));
  return !alive || replaced ? agent : undefined;
}

/**
 * Checked in /proc/PID/status, which is readable even for a process that restricts its other files to root
 * (PR_SET_DUMPABLE). A process in a namespace inside ours has a second pid there.
 */
function isOfOurNamespaces(pid: number): boolean {
  return fieldOf(pid, 'NSpid').length === 1;
}

/** root sees the processes of all users. */
const isOwn = (pid: number): boolean => Number(fieldOf(pid, 'Uid')[0]) === process.getuid?.();

function fieldOf(pid: number, name: string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'latin1');
    const line = text.split('\n').find((each) => each.startsWith(`${name}:`)) ?? '';
    return line
      .slice(name.length + 1)
      .trim()
      .split(/\s+/);
  } catch {
    return [];
  }
}

/** false: the process has ended by itself. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

export function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '?';
  }
}
