import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** How often a process that is not our child is looked for, ms. */
const LOOK_EVERY_MS = 100;

/** Names one process for good: a pid is used again, but not with the same start. */
export interface ProcessName {
  readonly pid: number;
  /** When it began, in the kernel's ticks since boot. */
  readonly startedAt: string;
}

/** A process that somebody started: our child, or one that a predecessor of ours left running. */
export interface ProcessHandle extends ProcessName {
  /** How it ended; `unknown` of one that is not our child. Also told when it could not be started. */
  readonly ended: Promise<string>;
  readonly hasEnded: boolean;
  kill(signal: NodeJS.Signals): void;
}

/** What `ended` says of a child that ended with exit code 0. */
export const ORDERLY = 'exit code 0';

/** A child as it was spawned; undefined pids (it could not be started) end at once. */
export function childHandle(child: ChildProcess): ProcessHandle {
  const pid = child.pid ?? 0;
  let hasEnded = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`cannot be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  }).then((how) => {
    hasEnded = true;
    return how;
  });
  return {
    ...processName(pid),
    ended,
    get hasEnded() {
      return hasEnded;
    },
    kill: (signal) => void child.kill(signal),
  };
}

/** A process that another one started; undefined when it is gone. */
export function adopt({ pid, startedAt }: ProcessName): ProcessHandle | undefined {
  const isThere = (): boolean => startOf(pid) === startedAt;
  if (!isThere()) return undefined;
  return {
    pid,
    startedAt,
    ended: new Promise((resolve) => {
      const timer = setInterval(() => {
        if (isThere()) return;
        clearInterval(timer);
        resolve('unknown');
      }, LOOK_EVERY_MS);
      timer.unref();
    }),
    get hasEnded() {
      return !isThere();
    },
    kill(signal): void {
      try {
        if (isThere()) process.kill(pid, signal);
      } catch {
        // It ended in between.
      }
    },
  };
}

/** '' as its start: it is gone. */
export const processName = (pid: number): ProcessName => ({ pid, startedAt: startOf(pid) ?? '' });

/** undefined for a process that is gone, or has ended and waits to be noticed. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in brackets, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
