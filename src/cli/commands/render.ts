import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { writeExactly } from '../terminal/terminal.ts';

interface RenderOptions {
  readonly file: readonly string[];
  readonly allowUnknown?: boolean;
  readonly mock?: boolean;
  readonly setupScript?: string;
  readonly output?: string;
  readonly force?: boolean;
}

export function registerRender(program: Command): void {
  program
    .command('render')
    .description(
      'Print the whole run of a recipe as one bash script (static mode), without starting anything.',
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
    .option(
      '-o, --output <dir>',
      'one file for each variant, <file>_<variant>.sh (required for several variants)',
    )
    .option('--force', 'with --output: overwrite existing files')
    .addHelpText(
      'after',
      `
The script has an srun for each process, waits for them by polling, runs the benchmark of each point in turn, and stops
everything however it ends. Compute nodes need bash and no Node (but for sa-bench, model.stage_dir and --mock).
srtctl apply --no-use-orchestrator submits the same.

Examples:
  srtctl render -f recipe.yaml > run.sh; sbatch run.sh
  srtctl render -f recipes/ -o scripts`,
    )
    .action(async (options: RenderOptions) => {
      process.exitCode = await render(options);
    });
}

async function render(options: RenderOptions): Promise<number> {
  const [
    { mkdirSync, writeFileSync },
    { basename, join },
    { findClusterConfig },
    { findRecipes, loadAll },
    { prepare },
    { splitAll },
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
  const onUnknownKey = options.allowUnknown ? warnOnce() : undefined;
  const cluster = findClusterConfig(process.env, process.cwd(), onUnknownKey);
  const files = await findRecipes(options.file);
  const variants = splitAll(loadAll(files, { cluster, env: process.env, onUnknownKey }), cluster);
  if (variants.length > 1 && options.output === undefined)
    throw new SrtctlError('several-variants', `the recipes give ${variants.length} scripts`, {
      hint: '--output DIR writes a file for each, and -f recipe.yaml:variant selects one',
    });
  const { output, force, ...rest } = options;
  const jobs = prepare(rest, cluster, variants);
  // Slurm creates no directories for the output of a script, so this command creates the job's.
  const scripts = jobs.map((job) => ({
    variant: job.variant,
    text: staticScriptOf(job, 'srtctl-static-%j.log', { mustFind: false }),
  }));
  if (output === undefined) {
    for (const { text } of scripts) writeExactly(text);
    return EXIT.ok;
  }
  mkdirSync(output, { recursive: true });
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
