/** Slurm's report about a job; `unknown`: Slurm does not answer, which says nothing about the job. */
export interface QueueEntry {
  /** Slurm's state: PENDING, RUNNING, COMPLETED, …; `GONE`: Slurm has forgotten the job. */
  readonly state: string;
  /** Why the job waits or ended. */
  readonly reason: string;
  readonly exitCode: number | null;
  readonly nodes: string;
}

/**
 * States of squeue(1) and sacct(1), "JOB STATE CODES", in which a job has ended. A state of a newer Slurm that is not
 * in the list does not end a job, because waiting for a job that has ended costs less than leaving a job that runs.
 */
const ENDED = new Set([
  ...['BOOT_FAIL', 'CANCELLED', 'COMPLETED', 'DEADLINE', 'FAILED', 'LAUNCH_FAILED', 'NODE_FAIL'],
  ...['OUT_OF_MEMORY', 'PREEMPTED', 'RECONFIG_FAIL', 'REVOKED', 'TIMEOUT', 'GONE'],
]);

export const hasEndedInSlurm = (entry: QueueEntry | undefined): boolean =>
  entry !== undefined && ENDED.has(entry.state);

/** Exit code of a job whose coordinator could not report one: that of the batch script, else one for Slurm's reason. */
export function exitCodeInSlurm({ state, exitCode }: QueueEntry): number {
  if (exitCode !== null && exitCode !== 0) return exitCode;
  return ['CANCELLED', 'TIMEOUT', 'PREEMPTED', 'DEADLINE'].includes(state) ? 143 : 1;
}
