import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { makeNamedDirectory } from '../../os/files/make-directories.ts';
import type { PreparedSlurmJob } from '../submit/prepared-slurm-job.ts';
import { addEdits, type EditOptions, editTexts } from '../terminal/options.ts';
import { writeExactly } from '../terminal/terminal.ts';

interface RenderOptions extends EditOptions {
  readonly file: readonly string[];
  readonly allowUnknown?: boolean;
  readonly mock?: boolean;
  readonly setupScript?: string;
  readonly hostSetup?: boolean;
  readonly output?: string;
  readonly force?: boolean;
  readonly to?: string;
  readonly serveOnly?: boolean;
  readonly tags?: string;
}

export function registerRender(program: Command): void {
  addEdits(program.command('render'))
    .description(
      'Write the batch script of a job for another program to submit (--to), or print the whole run as one bash script (static mode).',
    )
    .requiredOption(
      '-f, --file <path...>',
      'recipes: files, file.yaml:variant, directories, or patterns such as "recipes/**/*.yaml:override_*"',
    )
    .option('--allow-unknown', 'warn about unknown keys and ignore them')
    .option('--mock', 'simulated engines and routers instead of the real ones')
    .option(
      '--setup-script <file>',
      'bash script that runs once on each node before any engine (overrides setup_script)',
    )
    .option('--host-setup', 'run host_setup of the recipe, outside of any container, also with --mock')
    .option('--no-host-setup', 'leave host_setup of the recipe out')
    .option(
      '-o, --output <dir>',
      'one file for each variant, <file>_<variant>.sh (required for several variants); with --to: parent of the job directory, as of apply',
    )
    .option(
      '--to <dir>',
      'write the batch script that apply would submit, and all that it needs, into a directory; the last line of stdout is its path',
    )
    .option('--serve-only', 'with --to: deploy without a benchmark, and stay until it is cancelled')
    .option('--tags <tags>', 'with --to: words to find the job by, separated by commas')
    .option('--force', 'with --output: overwrite existing files')
    .addHelpText(
      'after',
      `
Without --to the script has an srun for each process, waits for them by polling, runs the benchmark of each point in turn, and stops
everything however it ends. Compute nodes need bash and no Node (but for sa-bench, model.stage_dir and --mock).
srtctl apply --no-use-orchestrator submits the same.

Examples:
  srtctl render -f recipe.yaml > run.sh; sbatch run.sh
  srtctl render -f recipes/ -o scripts
  sbatch --parsable "$(srtctl render -f recipe.yaml --to rendered | tail -n 1)"`,
    )
    .action(async (options: RenderOptions) => {
      process.exitCode = await render(options);
    });
}

async function render(options: RenderOptions): Promise<number> {
  const [
    { writeFileSync },
    { basename, join },
    { findClusterConfig },
    { findRecipes, loadAll, parseEdits },
    { prepare },
    { pinAll, splitAll },
    { staticScriptOf },
    { warnOnce },
  ] = await Promise.all([
    import('node:fs'),
    import('node:path'),
    import('../../recipe/schema/cluster.ts'),
    import('../../recipe/load.ts'),
    import('../submit/slurm-job.ts'),
    import('../submit/split-all.ts'),
    import('../submit/static-job.ts'),
    import('../submit/warn.ts'),
  ]);
  if (options.serveOnly && options.to === undefined)
    throw new SrtctlError('usage', '--serve-only needs an orchestrated run, which can be cancelled', {
      hint: 'add --to DIR',
    });
  const onUnknownKey = options.allowUnknown ? warnOnce() : undefined;
  const cluster = findClusterConfig(process.env, process.cwd(), onUnknownKey);
  const edits = parseEdits(editTexts(options));
  const files = await findRecipes(options.file);
  const loaded = loadAll(files, { cluster, env: process.env, onUnknownKey, edits });
  const variants = await pinAll(splitAll(loaded, cluster, options), options);
  if (variants.length > 1 && (options.output === undefined || options.to !== undefined))
    throw new SrtctlError('several-variants', `the recipes give ${variants.length} scripts`, {
      hint:
        options.to === undefined
          ? '--output DIR writes a file for each, and -f recipe.yaml:variant selects one'
          : '-f recipe.yaml:variant selects one; a sweep that needs several jobs is submitted by srtctl apply',
    });
  const { output, force, ...rest } = options;
  const jobs = prepare(options.to === undefined ? rest : options, cluster, variants);
  if (options.to !== undefined) return renderTo(options.to, jobs);
  // Slurm creates no directories for the output of a script, so this command creates the job's.
  const scripts = jobs.map((job) => ({
    variant: job.variant,
    text: staticScriptOf(job, 'srtctl-static-%j.log', { mustFind: false }),
  }));
  if (output === undefined) {
    for (const { text } of scripts) writeExactly(text);
    return EXIT.ok;
  }
  makeNamedDirectory(output);
  const parts = new Map<string, number>();
  for (const { variant, text } of scripts) {
    const of =
      basename(variant.file).replace(/\.ya?ml$/, '') + (variant.variant === '' ? '' : `_${variant.variant}`);
    // One allocation of several for the variant.
    const part = (parts.get(variant.file + of) ?? 0) + 1;
    parts.set(variant.file + of, part);
    const path = join(output, `${part === 1 ? of : `${of}_${part}`}.sh`);
    try {
      writeFileSync(path, text, { flag: force ? 'w' : 'wx', mode: 0o755 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      throw new SrtctlError('file-there', `${path} exists already`, { hint: '--force overwrites it' });
    }
    process.stdout.write(`${path}\n`);
  }
  return EXIT.ok;
}

/** The job as apply would submit it. */
async function renderTo(directory: string, jobs: readonly PreparedSlurmJob[]): Promise<number> {
  const { renderJob } = await import('../render/rendered-job.ts');
  const { resultSetOf } = await import('../submit/result-set.ts');
  for (const job of jobs) {
    const resultSet = await resultSetOf(job.spec, job.variant);
    const path = await renderJob({ ...job, spec: { ...job.spec, resultSet } }, directory);
    process.stdout.write(`${path}\n`);
  }
  return EXIT.ok;
}
