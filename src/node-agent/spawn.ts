import { spawn } from 'node:child_process';
import type { ProcessSpec } from '../messages/process-spec.ts';
import type { OpenLog } from './prepare.ts';

export interface Spawned {
  readonly pid: number;
}

export interface SpawnListener {
  exited(exitCode: number | null, signal: string | null): void;
  failed(reason: string): void;
}

/** All starting and signalling of processes. Tests put a recorder here. */
export interface Spawner {
  /** Starts in a process group of its own, stdout and stderr straight to the log file. */
  spawn(
    spec: ProcessSpec,
    env: Record<string, string>,
    listener: SpawnListener,
    log: OpenLog,
  ): Spawned | undefined;
  /** false when the group is not there any more. */
  signalGroup(processGroup: number, signal: NodeJS.Signals): boolean;
  signal(pid: number, signal: NodeJS.Signals): boolean;
}

function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

const reasonOf = (error: NodeJS.ErrnoException, command: string, cwd: string | undefined): string => {
  if (error.code === 'ENOENT' && cwd === undefined) return `command not found: ${command}`;
  if (error.code === 'EACCES') return `not allowed to run ${command}`;
  return `cannot start ${command}: ${error.message}`;
};

export const osSpawner: Spawner = {
  spawn(spec, env, listener, { fd }) {
    const [command = '', ...args] = spec.argv;
    const child = spawn(command, args, {
      env,
      detached: true,
      // The child gets the file's descriptor: lines that pass through Node cost forty times as much CPU.
      stdio: ['ignore', fd, fd],
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    });
    child.once('error', (error) => listener.failed(reasonOf(error, command, spec.cwd)));
    child.once('exit', (code, signal) => listener.exited(code, signal));
    return child.pid === undefined ? undefined : { pid: child.pid };
  },
  signalGroup: (group, signal) => kill(-group, signal),
  signal: kill,
};
