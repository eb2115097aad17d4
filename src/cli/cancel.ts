import type { Command } from 'commander';
import { OUTPUT_OPTION } from './options.ts';

/** Longer than the slowest cleanup: graces, leases and goodbyes together. */
const TIMEOUT_MS = 90_000;

export function registerCancel(program: Command): void {
  program
    .command('cancel')
    .description(
      'Stop a job in good order: its point is interrupted, results so far are kept, everything is stopped.',
    )
    .argument('<job>', 'job id, the path of its directory, or "latest"')
    .option(...OUTPUT_OPTION)
    .addHelpText('after', '\nExample:\n  srtctl cancel local-20260101-120000-ab12')
    .action(async (told: string, options: { output?: string }) => {
      await cancel(told, options.output);
    });
}

async function cancel(told: string, output: string | undefined): Promise<void> {
  const { findJob, isOver, outputsRoot, readState } = await import('./job-dir.ts');
  const job = await findJob(told, outputsRoot(output));
  if (await isOver(job)) {
    process.stdout.write(`${job.jobId} is over already\n`);
    return;
  }
  const how = (await askOverBus(job)) ?? (await askBySignal(job));
  process.stdout.write(`${how}; waiting for the cleanup …\n`);
  const until = performance.now() + TIMEOUT_MS;
  while (!(await isOver(job))) {
    if (performance.now() > until) {
      const { SrtctlError, EXIT } = await import('../errors.ts');
      throw new SrtctlError('cancel-timeout', `${job.jobId} is not over after ${TIMEOUT_MS / 1_000} s`, {
        exitCode: EXIT.failed,
        hint: `see ${job.jobDir}/logs/sweep_${job.jobId}.log`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const state = await readState(job);
  process.stdout.write(`${job.jobId} is over (exit code ${state?.exitCode ?? 'unknown'})\n`);
}

type Job = Awaited<ReturnType<typeof import('./job-dir.ts')['findJob']>>;

async function askOverBus(job: Job): Promise<string | undefined> {
  const { readConnection } = await import('./job-dir.ts');
  const connection = await readConnection(job);
  if (!connection) return undefined;
  const { connectBus, inboxOf } = await import('../messages/nats-bus.ts');
  const { cancelReplySchema } = await import('../messages/control.ts');
  const { subjectsOf } = await import('../messages/subjects.ts');
  const { userInfo } = await import('node:os');
  try {
    const bus = await connectBus({
      url: connection.url,
      seed: connection.operatorSeed,
      job: job.jobId,
      name: 'cancel',
      inbox: inboxOf('operator'),
    });
    try {
      await bus.request(
        subjectsOf(job.jobId).cancel,
        { v: 1, by: userInfo().username },
        cancelReplySchema,
        5_000,
      );
      return `${job.jobId} is being stopped`;
    } finally {
      await bus.close(500);
    }
  } catch {
    return undefined;
  }
}

/** A local coordinator that cannot be reached over the bus is sent SIGTERM. */
async function askBySignal(job: Job): Promise<string> {
  const { isCoordinator, readState } = await import('./job-dir.ts');
  const { SrtctlError, EXIT } = await import('../errors.ts');
  const state = await readState(job);
  if (job.spec.mode === 'local' && state && (await isCoordinator(state.coordinatorPid, job))) {
    process.kill(state.coordinatorPid, 'SIGTERM');
    return `${job.jobId}: its bus does not answer, its coordinator was sent SIGTERM`;
  }
  throw new SrtctlError(
    'cannot-cancel',
    `${job.jobId} cannot be reached: it has no bus (yet) and no coordinator here`,
    {
      exitCode: EXIT.failed,
    },
  );
}
