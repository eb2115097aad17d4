import { setTimeout as sleep } from 'node:timers/promises';
import { SrtctlError } from '../../os/errors.ts';
import { ownUid } from '../../os/processes/own-user.ts';
import { type Answer, slurm } from './commands.ts';

/**
 * sbatch's messages when slurmctld answered too late, or was lost during the answer (SLURM_COMMUNICATIONS_* and
 * SLURM_PROTOCOL_* of slurm_errno.c, Slurm 22.05 to 25.05). slurmctld may have accepted the job all the same.
 */
const UNCERTAIN =
  /socket timed out|zero bytes were transmitted|unexpected message received|connection reset|receive failure|timed out waiting/i;

export const isUncertain = ({ exitCode, stderr, timedOut }: Answer): boolean =>
  timedOut || (exitCode !== 0 && UNCERTAIN.test(stderr));

export interface Patience {
  /** Time between two requests, ms. */
  readonly everyMs: number;
  /** How long squeue may go without an answer, ms. */
  readonly untilMs: number;
  /** How many answers without the job mean that the job does not exist, because slurmctld may accept it late. */
  readonly answers: number;
}
const PATIENCE: Patience = { everyMs: 2_000, untilMs: 120_000, answers: 6 };

/**
 * Looks for a job whose submission was not answered. `mark` is the job's comment, or a line of its script when the user
 * has set the comment.
 * @returns the job's id; undefined when squeue answers and the job is not in the queue
 * @throws SrtctlError when squeue does not answer either
 */
export async function findSubmitted(
  mark: { readonly comment: string } | { readonly line: string },
  patience: Patience = PATIENCE,
): Promise<string | undefined> {
  const deadline = performance.now() + patience.untilMs;
  for (let answers = 0; ; ) {
    const jobs = await ownJobs();
    if (jobs) {
      const found =
        'comment' in mark
          ? jobs.find(({ comment }) => comment === mark.comment)?.jobId
          : await withLine(mark.line, jobs);
      if (found !== undefined) return found;
      if (++answers >= patience.answers) return undefined;
    } else if (performance.now() > deadline) {
      throw new SrtctlError(
        'submission-unknown',
        'neither sbatch nor squeue answers: whether the job was submitted is not known',
        {
          hint:
            'comment' in mark
              ? `when Slurm answers again: squeue --me --format="%A %k" | grep ${mark.comment}, and scancel what it shows (the job is held and does not run)`
              : 'when Slurm answers again, squeue --me shows it; it is held and does not run: scancel it',
        },
      );
    }
    await sleep(patience.everyMs);
  }
}

interface OwnJob {
  readonly jobId: string;
  readonly comment: string;
}

/** undefined: squeue does not answer. */
async function ownJobs(): Promise<OwnJob[] | undefined> {
  const args = ['--noheader', `--user=${ownUid()}`, '--states=all', '--format=%A|%k'];
  const answer = await slurm('squeue', args).catch(() => undefined);
  if (answer?.exitCode !== 0) return undefined;
  return answer.stdout.split('\n').flatMap((line) => {
    const [, jobId, comment] = /^\s*(\d+)\|(.*)$/.exec(line) ?? [];
    return jobId === undefined ? [] : [{ jobId, comment: (comment ?? '').trim() }];
  });
}

/** The newest jobs first, because the job was submitted just now. */
async function withLine(text: string, jobs: readonly OwnJob[]): Promise<string | undefined> {
  const newest = [...jobs].sort((a, b) => Number(b.jobId) - Number(a.jobId)).slice(0, 20);
  for (const { jobId } of newest) {
    const answer = await slurm('scontrol', ['write', 'batch_script', jobId, '-']).catch(() => undefined);
    if (answer?.stdout.split('\n').includes(text)) return jobId;
  }
  return undefined;
}
