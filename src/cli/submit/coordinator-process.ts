import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { isRestartable, RESTART_PAUSES_S, RESTARTS } from '../../platform/launch/restart-policy.ts';

export interface SupervisedCoordinator {
  /** The end of the last one. `exitCode` is null when a signal ended it. */
  readonly ended: Promise<{ exitCode: number | null }>;
  /** Forwards a stop signal to the coordinator, which is then not restarted. */
  kill(signal: NodeJS.Signals): void;
  stopRestarting(): void;
}

/**
 * Keeps a job's coordinator running: a killed one is restarted, and continues with the running processes.
 * Resolves when the first one is started.
 */
export async function superviseCoordinator(
  start: () => Promise<ChildProcess>,
): Promise<SupervisedCoordinator> {
  const most = Number(process.env.SRTCTL_COORDINATOR_RESTARTS ?? RESTARTS);
  let isWanted = true;
  let child = await start();
  const run = async (): Promise<{ exitCode: number | null }> => {
    for (let restarts = 0; ; restarts++) {
      const { exitCode, wasKilled } = await endOf(child);
      if (!isWanted || restarts >= most || !(wasKilled || isRestartable(exitCode))) return { exitCode };
      await sleep(1_000 * (RESTART_PAUSES_S[restarts] ?? RESTART_PAUSES_S[2]));
      if (!isWanted) return { exitCode };
      try {
        child = await start();
      } catch (error) {
        process.stderr.write(`srtctl: cannot restart the coordinator: ${(error as Error).message}\n`);
        return { exitCode };
      }
    }
  };
  return {
    ended: run(),
    kill(signal): void {
      isWanted = false;
      child.kill(signal);
    },
    stopRestarting(): void {
      isWanted = false;
    },
  };
}

/**
 * Resolves with a child when the kernel has started it. Node reports a failed start in an event, which would
 * end srtctl without a listener.
 * @throws SrtctlError when the program cannot be started
 */
export async function whenSpawned(child: ChildProcess, program: string): Promise<ChildProcess> {
  try {
    await once(child, 'spawn');
    return child;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SrtctlError(
      'cannot-start',
      code === 'ENOENT' ? `${program} is not on the PATH` : `cannot start ${program}: ${message}`,
      { hint: `the coordinator is started with ${program}`, cause: error },
    );
  }
}

/**
 * The exit code of a command that ran a job. The coordinator's end decides, because what it has finished is
 * finished. `asked` is the code of the signal that this command received; it counts when the coordinator
 * ended because of the signal.
 */
export function exitCodeOfJob(
  coordinator: number | null,
  asked: number | undefined,
  followed: number,
): number {
  if (coordinator === null) return asked ?? (followed || EXIT.failed);
  const wasStopped = coordinator === EXIT.interrupted || coordinator === EXIT.terminated;
  return wasStopped ? (asked ?? coordinator) : coordinator;
}

function endOf(child: ChildProcess): Promise<{ exitCode: number | null; wasKilled: boolean }> {
  const { exitCode, signalCode } = child;
  if (exitCode !== null || signalCode !== null)
    return Promise.resolve({ exitCode, wasKilled: signalCode !== null });
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ exitCode: code, wasKilled: signal !== null }));
    child.once('error', () => resolve({ exitCode: null, wasKilled: false }));
  });
}
