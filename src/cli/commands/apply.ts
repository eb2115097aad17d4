import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { addEdits, type EditOptions } from '../terminal/options.ts';

interface ApplyOptions extends EditOptions {
  readonly file: readonly string[];
  readonly allowUnknown?: boolean;
  readonly local?: boolean;
  readonly nodes?: number;
  readonly mock?: boolean;
  readonly port?: number;
  readonly output?: string;
  readonly json?: boolean;
  readonly setupScript?: string;
  readonly hostSetup?: boolean;
  readonly tags?: string;
  readonly yes?: boolean;
  readonly watch?: boolean;
  readonly wait?: boolean;
  readonly serveOnly?: boolean;
  readonly maxGpuHours?: number;
  readonly currentAllocation?: boolean;
  readonly useOrchestrator?: boolean;
  readonly again?: boolean;
  readonly resume?: string;
}

export function registerApply(program: Command): void {
  addEdits(program.command('apply'))
    .description(
      'Run recipes: submit a Slurm job for each, or run here; its results are in outputs/<job id>.',
    )
    .requiredOption(
      '-f, --file <path...>',
      'recipes: files, file.yaml:variant, directories, or patterns such as "recipes/**/*.yaml:override_*"',
    )
    .option('--allow-unknown', 'warn about unknown keys and ignore them')
    .option('--watch', 'follow the job to its end; the exit code is then that of the run')
    .option('--wait', 'the same, printing only the end of each job')
    .option(
      '--serve-only',
      'deploy without a benchmark, print how to reach the deployment, and stay until it is cancelled',
    )
    .option(
      '--current-allocation',
      'run in the Slurm allocation that this shell is in (the default inside one)',
    )
    .option('--use-orchestrator', 'a coordinator and an agent for each node run the job (the default)')
    .option(
      '--no-use-orchestrator',
      'static mode: the whole run as one bash script with an srun for each process (see srtctl render)',
    )
    .option('--local', 'run on this machine, one agent for each node of the recipe')
    .option(
      '--nodes <n>',
      'with --local: number of nodes, each with a loopback address (default: as many as the recipe needs)',
      positive('--nodes'),
    )
    .option(
      '--port <n>',
      'with --local: port for the requests of clients (default: a free one)',
      positive('--port', 65_535),
    )
    .option('--mock', 'simulated engines and routers instead of the real ones')
    .option(
      '--output <dir>',
      'parent of the job directory (default: $SRTCTL_OUTPUT; on Slurm output_dir of srtslurm.yaml; ./outputs)',
    )
    .option('--json', 'one JSON object a line on standard output, for programs')
    .option(
      '--setup-script <file>',
      'bash script that runs once on each node before any engine (overrides setup_script)',
    )
    .option(
      '--host-setup',
      'run host_setup of the recipe, outside of any container, also with --local and --mock',
    )
    .option('--no-host-setup', 'leave host_setup of the recipe out')
    .option('--tags <tags>', 'words to find the job by, separated by commas')
    .option(
      '--again',
      'run the recipe even when every point already has a valid result in the outputs directory',
    )
    .option('--resume <job>', 'resume a job: run its points without a valid result')
    .option(
      '--max-gpu-hours <n>',
      'allow jobs of up to so many GPU-hours, above max_gpu_hours of the recipe or srtslurm.yaml',
      positive('--max-gpu-hours'),
    )
    .option('-y, --yes', 'submit without confirmation (on a terminal, more than five jobs need one)')
    .addHelpText(
      'after',
      `
Without --local a Slurm job is submitted for each recipe and variant, and apply returns; --watch stays.

Examples:
  srtctl apply -f recipe.yaml                    submit it to Slurm
  srtctl apply -f recipe.yaml --watch            and follow it to its end
  srtctl apply -f recipe.yaml --local --mock     the whole run on this machine, without GPUs
  srtctl apply -f recipe.yaml --local            real engines and routers on this machine
  srtctl apply -f recipe.yaml --serve-only       a deployment to send requests to
  srtctl apply -f recipe.yaml --wait --json      for programs
  srtctl dry-run -f recipe.yaml                  what would run, and where`,
    )
    .action(async (options: ApplyOptions) => {
      process.exitCode = await apply(options);
    });
}

const positive =
  (option: string, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    const range = most === Number.MAX_SAFE_INTEGER ? 'from 1 on' : `from 1 to ${most}`;
    if (!Number.isInteger(value) || value < 1 || value > most)
      throw new SrtctlError('usage', `${option} ${text}: not a whole number ${range}`);
    return value;
  };

async function apply(options: ApplyOptions): Promise<number> {
  if (options.resume !== undefined && options.useOrchestrator === false)
    throw new SrtctlError(
      'usage',
      '--resume needs an orchestrated run, because static mode keeps no results',
      {
        hint: 'use only one of the two options',
      },
    );
  if (options.watch && options.wait)
    throw new SrtctlError('usage', '--watch and --wait: use only one of the two options');
  if (options.serveOnly && options.useOrchestrator === false)
    throw new SrtctlError('usage', '--serve-only needs an orchestrated run, which can be cancelled', {
      hint: 'use only one of the two options',
    });
  if (options.serveOnly && options.resume !== undefined)
    throw new SrtctlError('usage', '--serve-only measures nothing, so there is nothing to resume', {
      hint: 'use only one of the two options',
    });
  if (!options.local) {
    const { applyOnSlurm } = await import('../submit/slurm-job.ts');
    return applyOnSlurm({ ...options, orchestrator: options.useOrchestrator !== false });
  }
  if (options.useOrchestrator === false)
    throw new SrtctlError(
      'usage',
      '--no-use-orchestrator runs on Slurm: there is no static mode with --local',
      {
        hint: 'use only one of the two options',
      },
    );
  const { prepareLocalJobs, runLocalJob } = await import('../submit/local-job.ts');
  const { jobsToRun } = await import('../submit/jobs-to-run.ts');
  const jobs = await jobsToRun(await prepareLocalJobs(options), startOptions(options));
  let worst: number = EXIT.ok;
  let stoppedWith: number | undefined;
  process.on('SIGINT', () => {
    stoppedWith = EXIT.interrupted;
  });
  process.on('SIGTERM', () => {
    stoppedWith = EXIT.terminated;
  });
  for (const { job, resumption } of jobs) {
    // A stopped `manual` run has succeeded, but the user wants no further run either.
    if (stoppedWith !== undefined) return stoppedWith;
    const view = { json: options.json === true, quiet: options.wait === true };
    const exitCode = await runLocalJob(job, view, resumption);
    if (exitCode !== EXIT.ok) worst = worst === EXIT.ok ? exitCode : worst;
    // A user who stops one run wants none of the others.
    if (exitCode === EXIT.interrupted || exitCode === EXIT.terminated) return exitCode;
  }
  return worst;
}

/** A deployment is no result, so one that was up before does not count. */
const startOptions = (options: ApplyOptions) => ({
  ...options,
  again: options.again === true || options.serveOnly === true,
});
