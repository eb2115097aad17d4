import { slurm } from './commands.ts';
import type { QueueEntry } from './queue-entry.ts';

const ANSWER_MS = 10_000;

/**
 * The state of a job, from squeue or, when squeue has forgotten the job, from sacct. undefined when Slurm does not
 * answer: a squeue that hangs or prints nothing does not mean that a job is gone. Only Slurm's message about an unknown
 * job does.
 */
export async function queryJob(jobId: string, answerMs: number = ANSWER_MS): Promise<QueueEntry | undefined> {
  const format = '--Format=State:|,exit_code:|,Reason:|,NodeList:|';
  const args = ['--noheader', '--states=all', `--jobs=${jobId}`, format];
  const answer = await slurm('squeue', args, { timeoutMs: answerMs }).catch(() => undefined);
  if (!answer || answer.timedOut) return undefined;
  const [state = '', status = '', reason = '', nodes = ''] = (answer.stdout.split('\n')[0] ?? '').split('|');
  // The status has the format of wait(2).
  if (answer.exitCode === 0 && state !== '')
    return { state: state.trim(), exitCode: exitCodeOf(Number(status)), reason: reason.trim(), nodes };
  if (!/Invalid job id/i.test(answer.stderr)) return undefined;
  return (await accountOf(jobId)) ?? { state: 'GONE', reason: '', exitCode: null, nodes: '' };
}

/**
 * The states of several jobs, with one request. A job that is missing in the answer is unknown, because squeue leaves
 * out jobs that it has forgotten.
 */
export async function queryJobs(jobIds: readonly string[]): Promise<Map<string, QueueEntry>> {
  const found = new Map<string, QueueEntry>();
  if (jobIds.length === 0) return found;
  const format = '--Format=JobID:|,State:|,exit_code:|,Reason:|,NodeList:|';
  const args = ['--noheader', '--states=all', `--jobs=${jobIds.join(',')}`, format];
  const answer = await slurm('squeue', args, { timeoutMs: ANSWER_MS }).catch(() => undefined);
  if (answer?.exitCode !== 0) return found;
  for (const line of answer.stdout.split('\n')) {
    const [jobId = '', state = '', status = '', reason = '', nodes = ''] = line.split('|');
    if (jobId === '' || state === '' || found.has(jobId.trim())) continue;
    const exitCode = exitCodeOf(Number(status));
    found.set(jobId.trim(), { state: state.trim(), exitCode, reason: reason.trim(), nodes });
  }
  return found;
}

async function accountOf(jobId: string): Promise<QueueEntry | undefined> {
  const args = [
    '--noheader',
    '--parsable2',
    '--allocations',
    `--jobs=${jobId}`,
    '--format=State,ExitCode,NodeList',
  ];
  const answer = await slurm('sacct', args, { timeoutMs: ANSWER_MS }).catch(() => undefined);
  if (answer?.exitCode !== 0) return undefined;
  const [state = '', code = '', nodes = ''] = (answer.stdout.split('\n')[0] ?? '').split('|');
  const [word = ''] = state.split(' ');
  return word === '' ? undefined : { state: word, reason: '', exitCode: Number.parseInt(code, 10), nodes };
}

const exitCodeOf = (status: number): number | null => {
  if (!Number.isInteger(status)) return null;
  return (status & 127) === 0 ? status >> 8 : 128 + (status & 127);
};
