import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { OpenLog } from './prepare.ts';

export interface Spawned {
  readonly pid: number;
}

export interface SpawnListener {
  exited(exitCode: number | null, signal: string | null): void;
  failed(reason: string): void;
}

/** All starting and signalling of processes. Tests replace it by a recorder. */
export interface Spawner {
  /**
   * Starts a process in its own process group, with stdout and stderr going directly to the log file. `mark`
   * adds the words that set the owner's mark.
   */
  spawn(
    spec: ProcessSpec,
    env: Record<string, string>,
    listener: SpawnListener,
    log: OpenLog,
    mark?: (argv: string[]) => string[],
  ): Spawned | undefined;
  /** false when the group no longer exists. */
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

/** Whether the command can be run: by its path, or in a directory of PATH. */
export function isProgram(command: string, cwd: string | undefined, env: Record<string, string>): boolean {
  const directories = (env.PATH ?? '/usr/bin:/bin').split(delimiter);
  const places = command.includes('/') ? [command] : directories.map((directory) => join(directory, command));
  return places.some((each) => {
    const place = resolve(cwd ?? '.', each);
    try {
      accessSync(place, constants.X_OK);
      return statSync(place).isFile();
    } catch {
      return false;
    }
  });
}

export const osSpawner: Spawner = {
  spawn(spec, env, listener, { fd }, mark) {
    const [command = ''] = spec.argv;
    // The program that sets the mark always exists, so a missing command must be detected here.
    const canStart = mark !== undefined && isProgram(command, spec.cwd, env);
    const [first = '', ...args] = canStart ? mark([...spec.argv]) : spec.argv;
    const child = spawn(first, args, {
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
