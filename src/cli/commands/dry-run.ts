import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { SrtctlError } from '../../os/errors.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';
import type { Planned } from '../dry-run/plan.ts';
import { warnOnce } from '../submit/warn.ts';
import { addEdits, type EditOptions, editTexts } from '../terminal/options.ts';
import { errorBody, sayError } from '../terminal/say-error.ts';
import { writeExactly } from '../terminal/terminal.ts';

interface DryRunOptions extends EditOptions {
  readonly file: readonly string[];
  readonly json?: boolean;
  readonly allowUnknown?: boolean;
  readonly script?: boolean;
}

export function registerDryRun(program: Command): void {
  addEdits(program.command('dry-run'))
    .description('Show what a recipe would run, without starting anything.')
    .requiredOption(
      '-f, --file <path...>',
      'recipes: files, file.yaml:variant, directories, or patterns such as "recipes/**/*.yaml:override_*"',
    )
    .option('--allow-unknown', 'warn about unknown keys and ignore them')
    .option('--json', 'one line of JSON for each allocation')
    .option('--script', 'only the batch script that apply would submit to Slurm')
    .addHelpText(
      'after',
      `
Examples:
  srtctl dry-run -f examples/quickstart.yaml
  srtctl dry-run -f recipe.yaml:override_long --set benchmark.isl=8192
  srtctl dry-run -f recipes/ --json | jq -r '.points[].name'
  srtctl dry-run -f recipe.yaml --script | less`,
    )
    .action(async (options: DryRunOptions, command: Command) => {
      const { verbose } = command.optsWithGlobals<{ verbose?: boolean }>();
      process.exitCode = await dryRun({ ...options, verbose: verbose === true });
    });
}

/** Resolves with the exit code: 0 when every variant could be planned, 2 otherwise. */
async function dryRun(options: DryRunOptions & { readonly verbose: boolean }): Promise<number> {
  await import('../submit/parse-once.ts');
  // Loaded here, in parallel, because no other command needs them and each load waits for the disk.
  const [{ findClusterConfig }, { findRecipes, loadEach, parseEdits }, { planAllocations }, show] =
    await Promise.all([
      import('../../recipe/schema/cluster.ts'),
      import('../../recipe/load.ts'),
      import('../dry-run/plan.ts'),
      options.json
        ? import('../dry-run/json.ts').then(({ allocationLine }) => allocationLine)
        : import('../dry-run/table.ts').then(({ showAllocation }) => showAllocation),
    ]);
  const onUnknownKey = options.allowUnknown ? warnOnce() : undefined;
  const cluster = findClusterConfig(process.env, process.cwd(), onUnknownKey);
  let failed = false;
  const fail = (file: string, variant: string, error: SrtctlError) => {
    failed = true;
    if (options.json) print({ file, variant, ...errorBody(error) });
    else sayError(error);
  };
  const edits = parseEdits(editTexts(options));
  const files = await findRecipes(options.file);
  for (const { file, result } of loadEach(files, { cluster, env: process.env, onUnknownKey, edits })) {
    const made = 'error' in result ? result : planAllocations(result.loaded, cluster);
    if ('error' in made) {
      fail(file, result.variant, made.error);
      continue;
    }
    for (const warning of made.warnings) process.stderr.write(`srtctl: warning: ${warning}\n`);
    for (const notice of made.notices) process.stderr.write(`srtctl: note: ${notice}\n`);
    for (const each of made.planned) {
      for (const warning of each.options.lines) process.stderr.write(`srtctl: warning: ${warning}\n`);
      if (options.verbose)
        for (const note of each.options.unchecked) process.stderr.write(`srtctl: note: ${note}\n`);
      if (options.script) await printScript(each.variant, cluster, each.head.totalNodes);
      else await write(show(await withExpectation(each, cluster)));
    }
  }
  return failed ? 2 : 0;
}

async function printScript(variant: LoadedVariant, cluster: ClusterConfig, nodes: number): Promise<void> {
  const { outputsDirectory, scriptOf } = await import('../submit/slurm-job.ts');
  writeExactly(scriptOf({ variant, nodes, cluster, outputs: outputsDirectory(undefined, cluster) }));
}

/** Adds what an earlier job with the same points took, when there are jobs at all. */
async function withExpectation(each: Planned, cluster: ClusterConfig): Promise<Planned> {
  const outputs = resolve(process.env.SRTCTL_OUTPUT ?? cluster.output_dir ?? 'outputs');
  if (!existsSync(outputs)) return each;
  const { tookBefore } = await import('../submit/result-set.ts');
  const { estimateOf, estimateText } = await import('../dry-run/estimate.ts');
  const { variant, head } = each;
  const before = await tookBefore(outputs, variant);
  if (!before) return each;
  const estimate = estimateOf(variant, cluster, head.totalNodes, before);
  return { ...each, head: { ...head, estimate }, hours: estimateText(estimate, variant, cluster) };
}

/** Writes at the reader's pace, because a sweep of thousands of points prints hundreds of MB. */
async function write(texts: Iterable<string>): Promise<void> {
  const { stdout } = process;
  for (const text of texts)
    if (!stdout.write(text)) await new Promise<void>((resolve) => stdout.once('drain', resolve));
}

const print = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
