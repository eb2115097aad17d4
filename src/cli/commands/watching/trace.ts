import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../../../os/errors.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';

interface TraceOptions {
  readonly output?: string;
  readonly otlp: string;
}

export function registerTrace(program: Command): void {
  program
    .command('trace')
    .description('Send the trace of a job to a collector of OpenTelemetry: what ran when, on which node.')
    .argument('[job]', JOB_WORDS, 'latest')
    .option(...OUTPUT_OPTION)
    .requiredOption('--otlp <url>', 'the collector; port 4317 is gRPC, any other URL HTTP')
    .addHelpText(
      'after',
      `
A recipe with observability.enable_otel sends it by itself at the end of the run. docs/how-to/reporting.md says what is in it.

Examples:
  srtctl trace 1234567 --otlp http://localhost:4318`,
    )
    .action(sendTrace);
}

async function sendTrace(told: string, { output, otlp }: TraceOptions): Promise<void> {
  if (!/^https?:\/\//.test(otlp) || !URL.canParse(otlp))
    throw new SrtctlError('usage', `--otlp ${otlp} is not a URL`, { hint: 'such as http://localhost:4318' });
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const { jobPaths } = await import('../../../messages/job-directory/files.ts');
  const { distDirectory } = await import('../../submit/local-job.ts');
  const { jobDir, jobId } = await findJob(told, outputsRoot(output));
  // The reporter has the libraries, which no other command needs.
  const args = [join(distDirectory(), 'reporter.js'), jobPaths(jobDir, jobId).spec, 'trace', otlp];
  const reporter = spawn(process.execPath, args, { stdio: 'inherit' });
  const [code] = (await once(reporter, 'exit')) as [number | null];
  process.exitCode = code ?? EXIT.failed;
}
