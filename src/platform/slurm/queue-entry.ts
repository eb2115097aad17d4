/** What Slurm says of a job; `unknown`: it does not answer, which says nothing of the job. */
export interface QueueEntry {
  /** Slurm's word: PENDING, RUNNING, COMPLETED, … `GONE`: Slurm has forgotten it. */
  readonly state: string;
  /** Why it waits or ended. */
  readonly reason: string;
  readonly exitCode: number | null;
  readonly nodes: string;
}

/**
 * States of squeue(1) and sacct(1), "JOB STATE CODES", in which a job has ended. A state that is not in the list, of a
 * newer Slurm, does not end a job: to wait for one that is over costs less than to leave one that runs.
 */
const ENDED = new Set([
  ...['BOOT_FAIL', 'CANCELLED', 'COMPLETED', 'DEADLINE', 'FAILED', 'LAUNCH_FAILED', 'NODE_FAIL'],
  ...['OUT_OF_MEMORY', 'PREEMPTED', 'RECONFIG_FAIL', 'REVOKED', 'TIMEOUT', 'GONE'],
]);

export const hasEndedInSlurm = (entry: QueueEntry | undefined): boolean =>
  entry !== undefined && ENDED.has(entry.state);

/** Exit code of a job whose coordinator could not say it: that of its batch script, else what Slurm did to it. */
export function exitCodeInSlurm({ state, exitCode }: QueueEntry): number {
  if (exitCode !== null && exitCode !== 0) return exitCode;
  return ['CANCELLED', 'TIMEOUT', 'PREEMPTED', 'DEADLINE'].includes(state) ? 143 : 1;
}
