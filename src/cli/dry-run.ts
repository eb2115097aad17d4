import type { Command } from 'commander';
import type { SrtctlError } from '../errors.ts';

interface DryRunOptions {
  readonly file: string;
  readonly json?: boolean;
}

export function registerDryRun(program: Command): void {
  program
    .command('dry-run')
    .description('Show what a recipe would run, and start nothing.')
    .requiredOption('-f, --file <path>', 'recipe, recipe.yaml:variant, or a directory with recipes')
    .option('--json', 'one line of JSON for each allocation')
    .action(async (options: DryRunOptions) => {
      process.exitCode = await dryRun(options);
    });
}

/** Resolves with the exit code: 0 when everything could be planned, 2 when something could not. */
async function dryRun(options: DryRunOptions): Promise<number> {
  await import('./parse-once.ts');
  // Loaded here and all at once: no other command needs them, and each waits for the disk.
  const [{ findClusterConfig }, { findRecipeFiles, loadRecipeFile }, { planAllocation }, table] =
    await Promise.all([
      import('../recipe/cluster.ts'),
      import('../recipe/load.ts'),
      import('./dry-run-plan.ts'),
      options.json ? undefined : import('./dry-run-table.ts'),
    ]);
  const cluster = findClusterConfig(process.env, process.cwd());
  const show = table?.showAllocation;
  let failed = false;
  const fail = (file: string, variant: string, error: SrtctlError) => {
    failed = true;
    if (show) process.stderr.write(`srtctl: ${error.oneLine()}\n`);
    else print({ file, variant, error: error.oneLine() });
  };
  for (const recipe of findRecipeFiles(options.file)) {
    for (const result of loadRecipeFile(recipe, { cluster, env: process.env })) {
      const allocation = 'error' in result ? result : planAllocation(result.loaded, cluster);
      if ('error' in allocation) fail(recipe.file, result.variant, allocation.error);
      else if (show) process.stdout.write(show(allocation));
      else print(allocation);
    }
  }
  return failed ? 2 : 0;
}

const print = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
