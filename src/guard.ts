import { type ChildProcess, spawn } from 'node:child_process';

/** The small process that ends an agent's processes when the agent itself was killed. See guard.sh. */
export interface Guard {
  began(processGroup: number): void;
  over(processGroup: number): void;
  /** All is in order: the guard ends without doing anything. */
  dismiss(): void;
}

/**
 * Starts guard.sh in a session of its own. It takes the mark as an argument and has a bare environment, so that it
 * does not find itself. After an unclean end it runs the scripts in `stopDir`, and removes both directories.
 */
export function startGuard(script: string, mark: string, directory = '', stopDir = ''): Guard {
  const child: ChildProcess = spawn('/bin/sh', [script, mark, directory, stopDir], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: '/usr/bin:/bin' },
  });
  child.unref();
  // A guard that was killed must not take the agent with it (EPIPE); its work is then the agent's own killAll.
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  const say = (line: string) => {
    if (child.stdin?.writable) child.stdin.write(`${line}\n`);
  };
  return {
    began: (group) => say(`+${group}`),
    over: (group) => say(`-${group}`),
    dismiss: () => {
      say('.');
      child.stdin?.end();
    },
  };
}
