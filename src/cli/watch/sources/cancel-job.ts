import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import type { JobOnDisk } from '../../jobs/job-dir.ts';

/**
 * Runs `srtctl cancel` for a job, because that knows all ways to end one. Resolves with the last line that it printed.
 * @param command the command line of srtctl, without its arguments
 */
export async function cancelJob(command: readonly string[], { jobId, jobDir }: JobOnDisk): Promise<string> {
  const [program = '', ...args] = command;
  const child = spawn(program, [...args, 'cancel', jobId, '--output', dirname(jobDir)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const hear = (data: Buffer): void => {
    said += data.toString();
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`srtctl cancel cannot start: ${error.message}`));
    child.once('close', () => resolve(said.trimEnd().split('\n').at(-1) ?? ''));
  });
}
