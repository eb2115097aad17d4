import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Guard } from '../guard.ts';
import { epochFile } from './fence.ts';

/** How long a coordinator that was killed may take to be started again, s. What ends jobs earlier is a lease. */
export const RESTART_PATIENCE_S = 10;

export interface CoordinatorGuard extends Guard {
  /** Nobody will take over: should this process end, what runs ends at once. */
  despair(): void;
}

/**
 * Should the coordinator be killed, and nobody take over its job in time, its guard ends nats-server and the local
 * agents, whose own guards end the rest, and removes `home`.
 */
export function startCoordinatorGuard(options: {
  readonly distDir: string;
  readonly home: string;
  readonly epoch: number;
  readonly mark: string;
}): CoordinatorGuard {
  const { distDir, home, epoch, mark } = options;
  const guard = ['/bin/sh', join(distDir, 'guard.sh'), mark, home];
  const child: ChildProcess = spawn(
    '/bin/sh',
    [join(distDir, 'patient-guard.sh'), epochFile(home), String(epoch), String(RESTART_PATIENCE_S), ...guard],
    { detached: true, stdio: ['pipe', 'ignore', 'ignore'], env: { PATH: '/usr/bin:/bin' } },
  );
  child.unref();
  // Without its guard the coordinator goes on: it ends what it runs by itself.
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  const say = (line: string) => {
    if (child.stdin?.writable) child.stdin.write(`${line}\n`);
  };
  return {
    began: (group) => say(`+${group}`),
    over: (group) => say(`-${group}`),
    despair: () => say('!'),
    async dismiss() {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      say('.');
      child.stdin?.end();
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) await ended;
    },
  };
}
