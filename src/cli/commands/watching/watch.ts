import { createRequire } from 'node:module';
import type { Command } from 'commander';
import type { JobOnDisk } from '../../jobs/job-dir.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';
import type * as Watch from '../../watch/main.ts';

interface WatchOptions {
  readonly output?: string;
  readonly json?: boolean;
  readonly lines?: boolean;
}

export function registerWatch(program: Command): void {
  program
    .command('watch')
    .description(
      'Show all of your jobs live, or one job: its points, workers, nodes, processes and their logs.',
    )
    .argument('[job]', JOB_WORDS)
    .option(...OUTPUT_OPTION)
    .option('--lines', 'print a line for each event instead of the full screen, until the job ends')
    .option('--json', 'one JSON object a line, until the job ends')
    .addHelpText(
      'after',
      `
On a terminal it takes the full screen; ? shows its keys. q or Ctrl-C ends the watching, not the job. Elsewhere, and
with --lines or --json, it shows one job (the newest unless another is named) from its first event to its last.
The exit code is that of the job, where one is shown and is over; else 0.

Examples:
  srtctl watch                             all of your jobs
  srtctl watch latest                      the newest job: which worker died, which node is slow, when it ends
  srtctl watch 4711 --lines                lines, until the job ends
  srtctl watch latest --json | jq -r .kind`,
    )
    .action((told: string | undefined, options: WatchOptions) => watch(told, options));
}

async function watch(told: string | undefined, options: WatchOptions): Promise<void> {
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const root = outputsRoot(options.output);
  const isScreen = process.stdin.isTTY && process.stdout.isTTY && process.env.TERM !== 'dumb';
  if (!isScreen || options.json || options.lines) {
    const { followJob } = await import('../../view/follow.ts');
    const job = await findJob(told ?? 'latest', root);
    const { exitCode } = await followJob({ job, json: options.json === true, lines: options.lines === true });
    process.exitCode = exitCode;
    return;
  }
  const job = told === undefined ? null : await findJob(told, root);
  process.exitCode = await fullScreen(root, job);
}

/** Opens the full screen, whose program is a file of its own. */
async function fullScreen(root: string, job: JobOnDisk | null): Promise<number> {
  const { join } = await import('node:path');
  const { distDirectory } = await import('../../submit/local-job.ts');
  const { hasColours, unguarded } = await import('../../terminal/terminal.ts');
  const program = join(distDirectory(), 'watch.cjs');
  const { watchJobs } = createRequire(import.meta.url)(program) as typeof Watch;
  const command = [process.execPath, process.argv[1] ?? ''];
  const out = unguarded(process.stdout);
  return watchJobs({ root, job, out, hasColours: hasColours(process.stdout, process.env), command });
}
