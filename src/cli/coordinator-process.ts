import type { ChildProcess } from 'node:child_process';
import { EXIT } from '../errors.ts';

/** How often a coordinator that was killed or broke is started again. */
const RESTARTS = 3;
/** Before each start, ms: agents wait for a coordinator as long as their lease. */
const PAUSES_MS = [100, 1_000, 3_000];
/** Of a defect of ours; what a person must mend would be the same again. */
const BROKE = 70;

export interface SupervisedCoordinator {
  /** The end of the last one. `exitCode` is null when a signal ended it. */
  readonly ended: Promise<{ exitCode: number | null }>;
  /** Hands a signal on that asks it to end: it is not started again then. */
  kill(signal: NodeJS.Signals): void;
  stopRestarting(): void;
}

/**
 * Keeps a job's coordinator running: one that was killed is started again, and goes on with what runs. Resolves when
 * the first one is started.
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
      if (!isWanted || restarts >= most || !(wasKilled || mayGoOn(exitCode))) return { exitCode };
      const pauseMs = PAUSES_MS[Math.min(restarts, PAUSES_MS.length - 1)] ?? 0;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (!isWanted) return { exitCode };
      child = await start();
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

/** srun and shells say 128 and the signal's number of a process that a signal has ended. */
const mayGoOn = (code: number | null): boolean =>
  code === BROKE || (code !== null && code > 128 && code !== EXIT.interrupted && code !== EXIT.terminated);

function endOf(child: ChildProcess): Promise<{ exitCode: number | null; wasKilled: boolean }> {
  const { exitCode, signalCode } = child;
  if (exitCode !== null || signalCode !== null)
    return Promise.resolve({ exitCode, wasKilled: signalCode !== null });
  return new Promise((settle) => {
    child.once('exit', (code, signal) => settle({ exitCode: code, wasKilled: signal !== null }));
    child.once('error', () => settle({ exitCode: null, wasKilled: false }));
  });
}
