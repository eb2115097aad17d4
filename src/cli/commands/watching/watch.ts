import type { Command } from 'commander';
import { OUTPUT_OPTION } from '../../terminal/options.ts';

export function registerWatch(program: Command): void {
  program
    .command('watch')
    .description('Show a job live from its first event; after its end, show what happened.')
    .argument('[job]', 'job id, the path of its directory, or "latest"', 'latest')
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      `
The exit code is that of the run. Ctrl-C ends the watching, not the job.

Examples:
  srtctl watch                             the newest job
  srtctl watch latest --json | jq -r .kind`,
    )
    .action(async (told: string, options: { output?: string; json?: boolean }) => {
      const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
      const { followJob } = await import('../../view/follow.ts');
      const job = await findJob(told, outputsRoot(options.output));
      process.exitCode = (await followJob({ job, json: options.json === true })).exitCode;
    });
}
