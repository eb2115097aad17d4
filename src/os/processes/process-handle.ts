import type { ChildProcess } from 'node:child_process';
import { startOf } from './proc-stat.ts';

/** How often a process that is not a child is checked, ms. */
const LOOK_EVERY_MS = 100;

/** Identifies one process for good: the kernel reuses a pid, but not with the same start. */
export interface ProcessName {
  readonly pid: number;
  /** Its start in the kernel's ticks since boot. */
  readonly startedAt: string;
}

/** A running process: a child of this one, or one that a previous coordinator left running. */
export interface ProcessHandle extends ProcessName {
  /** How it ended; `unknown` when it is not a child. Also resolves when it could not be started. */
  readonly ended: Promise<string>;
  readonly hasEnded: boolean;
  kill(signal: NodeJS.Signals): void;
}

/** The value of `ended` for a child with exit code 0. */
export const ORDERLY = 'exit code 0';

/** A spawned child; one without a pid (it could not be started) ends at once. */
export function childHandle(child: ChildProcess): ProcessHandle {
  const pid = child.pid ?? 0;
  let hasEnded = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
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

/** A process that another process started; undefined when it is gone. */
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

/** An empty start means that it is gone. */
export const processName = (pid: number): ProcessName => ({ pid, startedAt: startOf(pid) ?? '' });
