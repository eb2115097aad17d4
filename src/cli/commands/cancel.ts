import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../terminal/options.ts';

/** Longer than the slowest cleanup: all graces and leases together. */
const TIMEOUT_MS = 90_000;
const ANSWER_MS = 5_000;
const LOOK_EVERY_MS = 100;
/** How long a batch script may run after its coordinator's end. */
const BATCH_END_MS = 10_000;

export function registerCancel(program: Command): void {
  program
    .command('cancel')
    .description('Stop a job gracefully: its results so far are kept, and all its processes are stopped.')
    .argument('<job>', JOB_WORDS)
    .option(...OUTPUT_OPTION)
    .addHelpText(
      'after',
      `
Returns when nothing of the job runs any more. The job itself ends with exit code 143.

Examples:
  srtctl cancel latest
  srtctl cancel local-20260101-120000-ab12`,
    )
    .action((told: string, options: { output?: string }) => cancel(told, options.output));
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function cancel(told: string, output: string | undefined): Promise<void> {
  const { findJob, isOver, outputsRoot, readState } = await import('../jobs/job-dir.ts');
  const job = await findJob(told, outputsRoot(output));
  if (await isOver(job)) return print(`${job.jobId} has already ended`);
  print((await askOverBus(job)) ?? (await askBySignal(job)));
  try {
    await untilOver(job);
  } catch (error) {
    // The head node may be lost, so that no process of the job gets the request; Slurm can still end the job.
    if (!job.spec.slurm?.own) throw error;
    print(`${(error as Error).message}; cancelling the job in Slurm`);
  }
  await endInSlurm(job);
  const exitCode = (await readState(job))?.exitCode ?? 'unknown';
  print(`${job.jobId} has ended (exit code ${exitCode})`);
}

/** Waits until the job has finished and its (local) coordinator is gone, and prints the progress. */
async function untilOver(job: JobOnDisk): Promise<void> {
  const { coordinatorOf, isOver, readState } = await import('../jobs/job-dir.ts');
  const deadline = performance.now() + TIMEOUT_MS;
  let told = '';
  while (!(await isOver(job)) || (job.spec.mode === 'local' && (await coordinatorOf(job)) !== undefined)) {
    if (performance.now() > deadline) {
      const { jobPaths } = await import('../../messages/job-directory/files.ts');
      const { EXIT, SrtctlError } = await import('../../os/errors.ts');
      throw new SrtctlError('cancel-timeout', `${job.jobId} has not ended after ${TIMEOUT_MS / 1_000} s`, {
        exitCode: EXIT.failed,
        hint: `see ${jobPaths(job.jobDir, job.jobId).sweepLog}`,
      });
    }
    const sweep = (await readState(job))?.sweep ?? '';
    if (sweep !== told && (sweep === 'cleaning' || sweep === 'finishing')) print(`${job.jobId} is ${sweep}`);
    told = sweep;
    await sleep(LOOK_EVERY_MS);
  }
}

/** Sends the request to the coordinator; undefined when it cannot be reached. */
async function askOverBus(job: JobOnDisk): Promise<string | undefined> {
  const { connectOperator } = await import('../jobs/operator-bus.ts');
  const { cancelReplySchema } = await import('../../messages/events/control.ts');
  const { WIRE_VERSION } = await import('../../messages/events/events.ts');
  const { subjectsOf } = await import('../../messages/events/subjects.ts');
  const { ownUserName } = await import('../../os/processes/own-user.ts');
  const bus = await connectOperator(job, 'cancel');
  if (!bus) return undefined;
  try {
    const request = { v: WIRE_VERSION, by: ownUserName() };
    await bus.request(subjectsOf(job.jobId).cancel, request, cancelReplySchema, ANSWER_MS);
    return `${job.jobId} is being stopped`;
  } catch {
    return undefined;
  } finally {
    await bus.close(500);
  }
}

/** Sends SIGTERM to a local coordinator that cannot be reached over the bus. */
async function askBySignal(job: JobOnDisk): Promise<string> {
  const { coordinatorOf } = await import('../jobs/job-dir.ts');
  const pid = job.spec.mode === 'local' ? await coordinatorOf(job) : undefined;
  if (pid !== undefined) {
    process.kill(pid, 'SIGTERM');
    return `${job.jobId}: its bus does not answer; sent SIGTERM to its coordinator`;
  }
  const { EXIT, SrtctlError } = await import('../../os/errors.ts');
  if (job.spec.slurm) return askSlurm(job, job.spec.slurm);
  throw new SrtctlError(
    'cannot-cancel',
    `cannot reach ${job.jobId}: no bus and no coordinator on this machine`,
    {
      exitCode: EXIT.failed,
    },
  );
}

/**
 * Through Slurm: removes a pending job from the queue; sends SIGTERM to a running job's batch script, which
 * forwards it to the coordinator.
 */
async function askSlurm(job: JobOnDisk, { jobId, own }: { jobId: string; own: boolean }): Promise<string> {
  const { EXIT, SrtctlError } = await import('../../os/errors.ts');
  const { slurmStateOf } = await import('../jobs/job-dir.ts');
  const { slurm } = await import('../../platform/slurm/commands.ts');
  const entry = await slurmStateOf(job);
  if (!own)
    throw new SrtctlError('cannot-cancel', `${job.jobId} does not answer, and does not own its allocation`, {
      exitCode: EXIT.failed,
      hint: `scancel ${jobId} ends the allocation`,
    });
  const waits = entry?.state === 'PENDING';
  const answer = await slurm('scancel', waits ? [jobId] : ['--batch', '--signal=TERM', jobId]);
  if (answer.exitCode !== 0)
    throw new SrtctlError('cannot-cancel', `scancel: ${answer.stderr.trim() || 'no answer'}`, {
      exitCode: EXIT.failed,
    });
  return waits ? `${job.jobId} was removed from the queue` : `${job.jobId}: sent SIGTERM to its batch script`;
}

/**
 * Waits until the batch script has ended after its coordinator; after a while cancels the job in Slurm.
 * @throws SrtctlError when Slurm refuses the cancellation
 */
async function endInSlurm({ spec, jobId }: JobOnDisk): Promise<void> {
  if (!spec.slurm?.own) return;
  const { slurm } = await import('../../platform/slurm/commands.ts');
  const { queryJob } = await import('../../platform/slurm/queue.ts');
  const { hasEndedInSlurm } = await import('../../platform/slurm/queue-entry.ts');
  const deadline = performance.now() + BATCH_END_MS;
  while (performance.now() < deadline) {
    if (hasEndedInSlurm(await queryJob(spec.slurm.jobId))) return;
    await sleep(5 * LOOK_EVERY_MS);
  }
  const answer = await slurm('scancel', [spec.slurm.jobId]);
  if (answer.exitCode === 0 || /invalid job id/i.test(answer.stderr)) return;
  const { EXIT, SrtctlError } = await import('../../os/errors.ts');
  throw new SrtctlError('cannot-cancel', `${jobId}: scancel: ${answer.stderr.trim() || 'no answer'}`, {
    exitCode: EXIT.failed,
    hint: `its allocation may still hold nodes: scancel ${spec.slurm.jobId}`,
  });
}
