import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { EXIT } from '../os/errors.ts';
import { ownLog } from '../os/own-log.ts';
import { setOwnUmask } from '../os/processes/own-umask.ts';
import { sourceStack } from '../os/source-stack.ts';
import { deadline } from './common/deadline.ts';
import { readReportedJob } from './common/job.ts';
import { Reporter } from './reporter.ts';

setOwnUmask();

/** Below the benchmark, whose client may be on the same node. */
const PRIORITY = 10;
/** How long a person waits for a trace. */
const TRACE_MS = 60_000;
const FINISH = /^finish (\d+)$/;

/**
 * `node reporter.js JOB_SPEC`: reports the job to others, from its files. The coordinator holds the other end of standard
 * input. Its line `finish MS` says that the job is over, and how long the rest may take; without that line its end ends
 * this program, because another coordinator starts another reporter.
 *
 * `node reporter.js JOB_SPEC trace URL` sends the trace of a job, and ends.
 */
async function main(): Promise<void> {
  const log = ownLog();
  const [, , file, how, endpoint] = process.argv;
  if (file === undefined) {
    process.stderr.write('usage: reporter JOB_SPEC\n');
    process.exit(2);
  }
  const broken = (error: unknown): never => {
    log.error({ error: error instanceof Error ? sourceStack(error) : String(error) }, 'the reporter broke');
    process.exit(1);
  };
  process.on('uncaughtException', broken);
  process.on('unhandledRejection', broken);
  try {
    setPriority(PRIORITY);
  } catch {
    // It may run beside the others, too.
  }
  if (how === 'trace' && endpoint !== undefined) process.exit(await traceOnce(file, endpoint));
  const reporter = new Reporter(await readReportedJob(file), process.env, log);
  reporter.start();
  for await (const line of createInterface({ input: process.stdin })) {
    const ms = FINISH.exec(line)?.[1];
    if (ms === undefined) continue;
    await reporter.finish(Number(ms));
    break;
  }
  process.exit(0);
}

/** Sends a trace for a person who waits for it. Resolves with the exit code. */
async function traceOnce(file: string, endpoint: string): Promise<number> {
  const { sendTrace } = await import('./traces/send-trace.ts');
  try {
    const spans = await sendTrace(await readReportedJob(file), endpoint, deadline(TRACE_MS).signal);
    process.stdout.write(spans === 0 ? 'the job has no events yet\n' : `${spans} spans are sent\n`);
    return EXIT.ok;
  } catch (error) {
    process.stderr.write(
      `srtctl: the trace is not sent: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    return EXIT.failed;
  }
}

void main();
