import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { STAT, statOf } from './proc-stat.ts';

/** How often the guard is checked, because a stopped guard (SIGSTOP) protects nothing. */
const LOOK_EVERY_MS = 1_000;
/** Delay before a guard is started again that ends at once. */
const AGAIN_MS = 1_000;
const DISMISS_MS = 500;
const AT_WORK_MS = 20;
/** A container's daemon may be slow. */
const STOP_MS = 10_000;

/** The small process that ends an agent's processes when the agent was killed. See guard.sh. */
export interface Guard {
  began(processGroup: number): void;
  over(processGroup: number): void;
  /** Ends the guard without any action, after a clean end. Resolves when the guard has ended. */
  dismiss(): Promise<void>;
}

export interface PatientGuard extends Guard {
  /** Announces that no process will take over: should this process end, the guard ends what runs at once. */
  despair(): void;
}

export interface GuardOptions {
  readonly script: string;
  /**
   * Environment entry (NAME=value) of every process to be killed, as long as the process does not erase it.
   */
  readonly mark: string;
  /**
   * The mark that no process can erase, as an expression (`limitsPattern`); left out where none can be set.
   */
  readonly limits?: string | undefined;
  /** Process groups that exist already. */
  readonly groups?: readonly number[];
  /** Removed after an unclean end. */
  readonly directory?: string | undefined;
  /**
   * Scripts that end processes outside of any process group, possibly on another node. They run after an unclean end,
   * and are removed then.
   */
  readonly stopDir?: string | undefined;
  /**
   * After an unclean end the guard waits this long, and then does nothing when `epochFile` names another
   * epoch.
   */
  readonly patience?: { readonly seconds: number; readonly epochFile: string; readonly epoch: number };
  /** Called when the guard was found dead or stopped; a new one gets all groups. */
  readonly onLost?: (why: string) => void;
}

/**
 * Starts guard.sh in its own session. The mark is an argument and the environment is empty, so that the guard
 * does not find itself. After an unclean end it runs the scripts in `stopDir`, and removes both directories.
 * A killed or stopped guard is replaced.
 */
export function startGuard({
  script,
  mark,
  directory = '',
  stopDir = '',
  patience,
  limits = '',
  groups: running = [],
  onLost,
}: GuardOptions): PatientGuard {
  const wait = patience ? [patience.seconds, patience.epochFile, patience.epoch].map(String) : ['', '', ''];
  const groups = new Set<number>(running);
  let child: ChildProcess;
  let dismissed = false;
  let startedAt = 0;

  const say = (line: string): void => {
    if (child.stdin?.writable) child.stdin.write(`${line}\n`);
  };
  const start = (): void => {
    if (dismissed) return;
    startedAt = performance.now();
    // Passes the groups as arguments, because a guard may lose its agent before it has read a line.
    child = spawn(
      '/bin/sh',
      [script, mark, directory, stopDir, ...wait, limits, ...[...groups].map(String)],
      {
        detached: true,
        stdio: ['pipe', 'ignore', 'ignore'],
        env: { PATH: '/usr/bin:/bin' },
      },
    );
    child.unref();
    // A killed guard must not end the agent as well (EPIPE).
    child.stdin?.on('error', () => undefined);
    child.once('error', (error) => lost(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => lost(signal ? `was ended by ${signal}` : `ended with ${code}`));
  };
  const lost = (why: string): void => {
    if (dismissed) return;
    onLost?.(why);
    const age = performance.now() - startedAt;
    setTimeout(start, age < AGAIN_MS ? AGAIN_MS : 0).unref();
  };
  const look = setInterval(() => {
    if (child.pid !== undefined && isStopped(child.pid)) child.kill('SIGKILL');
  }, LOOK_EVERY_MS);
  look.unref();
  start();

  return {
    began: (group) => {
      groups.add(group);
      say(`+${group}`);
    },
    over: (group) => {
      groups.delete(group);
      say(`-${group}`);
    },
    despair: () => say('!'),
    async dismiss() {
      dismissed = true;
      clearInterval(look);
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      say('.');
      child.stdin?.end();
      // A stopped guard does not handle SIGTERM.
      const timer = setTimeout(() => child.kill('SIGKILL'), DISMISS_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Does the work of a guard that was killed with its agent: runs the scripts in `stopDir`, and removes it. */
export const standInForGuard = (script: string, stopDir: string): void =>
  void spawnSync('/bin/sh', [script, 'SRTCTL_AGENT=none', '', stopDir], { input: '', timeout: STOP_MS });

/** Command of a guard whose only task is to end every process with one owner's mark. */
const enderOf = (script: string, limits: string): string[] => [
  ...[script, 'SRTCTL_AGENT=none', '', '', '', '', ''],
  limits,
];

/** Does for one owner what its guard would have done, where that was killed with it: ends all that has its mark. */
export function endMarked(script: string, limits: string): Promise<void> {
  const child = spawn('/bin/sh', enderOf(script, limits), { stdio: 'ignore', timeout: STOP_MS });
  return new Promise((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
}

export const endMarkedSync = (script: string, limits: string): void =>
  void spawnSync('/bin/sh', enderOf(script, limits), { stdio: 'ignore', timeout: STOP_MS });

/** Resolves when no guard is at work whose mark begins with `mark`, or after `withinMs`. */
export async function guardsAreGone(mark: string, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  while (readdirSync('/proc').some((pid) => isGuardOf(pid, mark)) && performance.now() < until)
    await sleep(AT_WORK_MS);
}

function isGuardOf(pid: string, mark: string): boolean {
  try {
    const [, script, told] = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
    return script?.endsWith('guard.sh') === true && told?.startsWith(mark) === true;
  } catch {
    return false;
  }
}

const isStopped = (pid: number): boolean => statOf(pid)?.[STAT.state]?.toLowerCase() === 't';
