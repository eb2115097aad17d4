import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { ownLog } from '../os/own-log.ts';
import { setOwnUmask } from '../os/processes/own-umask.ts';
import { sourceStack } from '../os/source-stack.ts';
import { readReportedJob } from './common/job.ts';
import { Reporter } from './reporter.ts';

setOwnUmask();

/** Below the benchmark, whose client may be on the same node. */
const PRIORITY = 10;
const FINISH = /^finish (\d+)$/;

/**
 * `node reporter.js JOB_SPEC`: reports the job to others, from its files. The coordinator holds the other end of standard
 * input. Its line `finish MS` says that the job is over, and how long the rest may take; without that line its end ends
 * this program, because another coordinator starts another reporter.
 */
async function main(): Promise<void> {
  const log = ownLog();
  const [, , file] = process.argv;
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

void main();
