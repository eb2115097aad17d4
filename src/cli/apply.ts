import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../errors.ts';

interface ApplyOptions {
  readonly file: readonly string[];
  readonly allowUnknown?: boolean;
  readonly local?: boolean;
  readonly nodes?: number;
  readonly mock?: boolean;
  readonly output?: string;
  readonly json?: boolean;
  readonly setupScript?: string;
  readonly tags?: string;
  readonly yes?: boolean;
}

export function registerApply(program: Command): void {
  program
    .command('apply')
    .description('Run a recipe: bring up its deployment, run its benchmark, clean up.')
    .requiredOption(
      '-f, --file <path...>',
      'recipes: files, file.yaml:variant, directories, or patterns such as "recipes/**/*.yaml:override_*"',
    )
    .option('--allow-unknown', 'warn of unknown keys, and pass them over')
    .option('--local', 'run on this machine, one agent for each simulated node')
    .option(
      '--nodes <n>',
      'with --local: number of simulated nodes (default: as many as the recipe needs)',
      positive,
    )
    .option('--mock', 'with --local: simulated engines and routers in place of the real ones')
    .option('--output <dir>', 'where the directory of the job is made (default: $SRTCTL_OUTPUT or ./outputs)')
    .option('--json', 'one JSON object a line on standard output, for programs')
    .option(
      '--setup-script <file>',
      'bash script that runs once on each node before any engine (over setup_script)',
    )
    .option('--tags <tags>', 'words to find the job by, separated by commas')
    .option('-y, --yes', 'ask nothing')
    .addHelpText(
      'after',
      `
Examples:
  srtctl apply -f recipe.yaml --local --mock     the whole run on this machine, without GPUs
  srtctl apply -f recipe.yaml --local            real engines on this machine (one node)
  srtctl dry-run -f recipe.yaml                  what would run, and where`,
    )
    .action(async (options: ApplyOptions) => {
      process.exitCode = await apply(options);
    });
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new SrtctlError('usage', `--nodes ${text}: a whole number from 1 on is needed`);
  return value;
}

async function apply(options: ApplyOptions): Promise<number> {
  if (!options.local)
    throw new SrtctlError(
      'not-yet',
      'apply without --local is not possible yet: this version does not submit to Slurm',
      {
        hint: 'add --local, and --mock for simulated engines',
      },
    );
  const { prepareLocalJobs, runLocalJob } = await import('./local-job.ts');
  const jobs = await prepareLocalJobs(options);
  let worst: number = EXIT.ok;
  for (const job of jobs) {
    const exitCode = await runLocalJob(job, { json: options.json === true });
    if (exitCode !== EXIT.ok) worst = worst === EXIT.ok ? exitCode : worst;
    // Who stops one run wants none of the others.
    if (exitCode === EXIT.interrupted || exitCode === EXIT.terminated) return exitCode;
  }
  return worst;
}
