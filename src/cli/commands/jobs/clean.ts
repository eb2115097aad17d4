import type { Command } from 'commander';
import type { OldJob, OldJobs } from '../../jobs/old-jobs.ts';
import { OUTPUT_OPTION, wholeNumber } from '../../terminal/options.ts';

interface CleanOptions {
  readonly output?: string;
  readonly olderThan?: string;
  readonly largerThan?: string;
  readonly tag?: string;
  readonly keep?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export function registerClean(program: Command): void {
  program
    .command('clean')
    .description('Remove the directories of your old jobs, after it has listed them and asked.')
    .option('--older-than <time>', 'jobs that ended longer ago than this, such as 30d')
    .option('--larger-than <size>', 'jobs of at least this size on the disk, such as 10G')
    .option('--tag <tag>', 'jobs with this tag')
    .option('--keep <n>', 'the newest n of your jobs stay, whatever else fits')
    .option('--dry-run', 'only list them')
    .option('-y, --yes', 'do not ask')
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line: jobId, jobDir, endedAt, bytes, removed')
    .addHelpText(
      'after',
      `
At least one of the first three options is needed; with several, a job has to fit all of them. A job that runs, or is not known to
have ended, always stays, and so does what is no directory of a job, and what is another user's. Links are not followed.

Examples:
  srtctl clean --older-than 30d --dry-run
  srtctl clean --larger-than 10G --keep 20
  srtctl clean --tag scratch --yes`,
    )
    .action(clean);
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function clean(options: CleanOptions): Promise<void> {
  const { EXIT, SrtctlError } = await import('../../../os/errors.ts');
  const now = Date.now();
  const filter = await filterOf(options, now);
  const { outputsRoot } = await import('../../jobs/job-dir.ts');
  const { oldJobs, removeJob } = await import('../../jobs/old-jobs.ts');
  const root = outputsRoot(options.output);
  const found = await oldJobs(root, filter, now);
  const asks = options.dryRun !== true && options.yes !== true;
  if (options.json && asks)
    throw new SrtctlError('usage', '--json cannot ask', { hint: 'add --yes or --dry-run' });
  if (!options.json) print(await textOf(found, root));
  if (found.old.length > 0 && asks && !(await isAgreed(found.old.length)))
    return print('nothing was removed');
  for (const old of found.old) {
    const { job, endedAt, bytes } = old;
    let removed = false;
    if (!options.dryRun)
      try {
        await removeJob(old, Date.now());
        removed = true;
      } catch (error) {
        process.stderr.write(
          `srtctl: ${job.jobId}: ${error instanceof Error ? error.message : String(error)}\n`,
        );
        process.exitCode = EXIT.failed;
      }
    const { jobId, jobDir } = job;
    if (options.json)
      print(JSON.stringify({ jobId, jobDir, endedAt: new Date(endedAt).toISOString(), bytes, removed }));
    else if (removed) print(`removed ${jobId}`);
  }
}

async function filterOf({ olderThan, largerThan, tag, keep }: CleanOptions, now: number) {
  const { SrtctlError } = await import('../../../os/errors.ts');
  const { durationMs } = await import('../../terminal/since.ts');
  const { bytesOf } = await import('../../terminal/sizes.ts');
  if (olderThan === undefined && largerThan === undefined && tag === undefined)
    throw new SrtctlError('usage', 'say which jobs', {
      hint: '--older-than 30d, --larger-than 10G or --tag TAG',
    });
  const ago = olderThan === undefined ? undefined : durationMs(olderThan);
  if (olderThan !== undefined && ago === undefined)
    throw new SrtctlError('usage', `--older-than ${olderThan} is no duration`, {
      hint: 'such as 30d or 12h',
    });
  const leastBytes = largerThan === undefined ? undefined : bytesOf(largerThan);
  if (largerThan !== undefined && leastBytes === undefined)
    throw new SrtctlError('usage', `--larger-than ${largerThan} is no size`, { hint: 'such as 10G or 500M' });
  return {
    ...{ tag, leastBytes, endedBefore: ago === undefined ? undefined : now - ago },
    keep: keep === undefined ? 0 : wholeNumber('--keep', keep),
  };
}

async function textOf({ old, kept }: OldJobs, root: string): Promise<string> {
  const { plain } = await import('../../terminal/text.ts');
  const { sizeText } = await import('../../terminal/sizes.ts');
  const staying = kept.map(({ jobId, why }) => plain(`${jobId} stays: ${why}`));
  if (old.length === 0) return [...staying, `no job to remove in ${root}`].join('\n');
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: ['job', 'name', 'ended', 'size', 'tags'],
    style: { head: [], border: [], compact: true },
  });
  const dayOf = ({ endedAt }: OldJob): string => new Date(endedAt).toISOString().slice(0, 10);
  for (const each of old) {
    const { jobId, spec } = each.job;
    table.push([jobId, spec.name, dayOf(each), sizeText(each.bytes), spec.tags.join(', ')].map(plain));
  }
  const total = old.reduce((sum, { bytes }) => sum + bytes, 0);
  return [table.toString(), ...staying, `${countOf(old.length)}, ${sizeText(total)}, in ${root}`].join('\n');
}

const countOf = (jobs: number): string => (jobs === 1 ? '1 job' : `${jobs} jobs`);

/** @throws SrtctlError without a terminal */
async function isAgreed(jobs: number): Promise<boolean> {
  if (process.stdin.isTTY && process.stdout.isTTY) {
    const { ask } = await import('../../terminal/ask.ts');
    return ask(`Remove ${countOf(jobs)} for good? [y/N] `);
  }
  const { SrtctlError } = await import('../../../os/errors.ts');
  throw new SrtctlError('not-agreed', `nothing was removed: ${countOf(jobs)} would be`, {
    hint: 'say --yes, because no terminal can be asked',
  });
}
