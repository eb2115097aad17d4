import { EXIT } from '../../os/errors.ts';

/**
 * When a coordinator that ended is started again: by `srtctl apply` where it runs beside it, and by the batch script of a
 * Slurm job. SRTCTL_COORDINATOR_RESTARTS overrides how often.
 */
export const RESTARTS = 3;

/** Before each start, s; the last value repeats. Agents wait for a coordinator as long as their lease. */
export const RESTART_PAUSES_S = [0.1, 1, 3] as const;

/** Shells and srun report 128 plus the number of the signal for a process that a signal has ended. */
const SIGNALLED = 128;

/**
 * After a defect or a signal, except a signal that asks the coordinator to end. An error that a person must correct
 * would only repeat.
 */
export const isRestartable = (exitCode: number | null): boolean =>
  exitCode !== null &&
  (exitCode === EXIT.broke || exitCode > SIGNALLED) &&
  exitCode !== EXIT.interrupted &&
  exitCode !== EXIT.terminated;

/** The same in a shell, for the exit code $code. */
export const SHELL_IS_RESTARTABLE = `{ [ "$code" -eq ${EXIT.broke} ] || [ "$code" -gt ${SIGNALLED} ]; } && [ "$code" -ne ${EXIT.interrupted} ] && [ "$code" -ne ${EXIT.terminated} ]`;
