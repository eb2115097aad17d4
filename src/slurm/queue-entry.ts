/** What Slurm says of a job; `unknown`: it does not answer, which says nothing of the job. */
export interface QueueEntry {
  /** Slurm's word: PENDING, RUNNING, COMPLETED, … `GONE`: Slurm has forgotten it. */
  readonly state: string;
  /** Why it waits or ended. */
  readonly reason: string;
  readonly exitCode: number | null;
  readonly nodes: string;
}

/** States of squeue(1), "JOB STATE CODES", in which a job has not ended. */
const LIVE = new Set([
  ...[
    'CONFIGURING',
    'COMPLETING',
    'PENDING',
    'RUNNING',
    'RESIZING',
    'REQUEUED',
    'REQUEUE_FED',
    'REQUEUE_HOLD',
  ],
  ...['RESV_DEL_HOLD', 'SIGNALING', 'SPECIAL_EXIT', 'STAGE_OUT', 'STOPPED', 'SUSPENDED'],
]);

export const hasEndedInSlurm = (entry: QueueEntry | undefined): boolean =>
  entry !== undefined && !LIVE.has(entry.state);

/** Exit code of a job whose coordinator could not say it: that of its batch script, else what Slurm did to it. */
export function exitCodeInSlurm({ state, exitCode }: QueueEntry): number {
  if (exitCode !== null && exitCode !== 0) return exitCode;
  return ['CANCELLED', 'TIMEOUT', 'PREEMPTED', 'DEADLINE'].includes(state) ? 143 : 1;
}
