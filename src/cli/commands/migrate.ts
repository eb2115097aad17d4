import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';
import { sayError } from '../terminal/say-error.ts';
import { writeExactly } from '../terminal/terminal.ts';

interface MigrateOptions {
  readonly file: readonly string[];
  readonly inPlace?: boolean;
  readonly output?: string;
}

export function registerMigrate(program: Command): void {
  program
    .command('migrate')
    .description('Rewrite recipes of the first layout into the second (schema: 2).')
    .requiredOption(
      '-f, --file <path...>',
      'recipes: files, directories, or patterns such as "recipes/**/*.yaml"',
    )
    .option('--in-place', 'rewrite the files')
    .option('--output <file>', 'write one recipe to this file (default: to standard output)')
    .addHelpText(
      'after',
      `
Comments, the order of keys and anchors stay. A recipe that is in the second layout already is left as it is. What the second
layout cannot say is refused, with file, line and reason. What a file would run is compared before and after, and a file
that would run something else is not written.

Examples:
  srtctl migrate -f recipe.yaml                  print it
  srtctl migrate -f recipes/ --in-place          rewrite all recipes below a directory`,
    )
    .action(async (options: MigrateOptions) => {
      process.exitCode = await migrateAll(options);
    });
}

/** What became of a file. */
type Outcome = 'migrated' | 'already in the second layout' | 'refused' | 'no recipe';

async function migrateAll({ file: paths, inPlace, output }: MigrateOptions): Promise<number> {
  const { findRecipes } = await import('../../recipe/load.ts');
  const { findClusterConfig } = await import('../../recipe/schema/cluster.ts');
  if (inPlace && output !== undefined)
    throw new SrtctlError('usage', '--in-place and --output say different places: use only one of them');
  const found = await findRecipes(paths);
  const selected = found.find(({ selector }) => selector);
  if (selected)
    throw new SrtctlError(
      'usage',
      `migrate rewrites whole files, not ${selected.selector?.text} of ${selected.file}`,
    );
  if (found.length > 1 && !inPlace)
    throw new SrtctlError('usage', `the paths name ${found.length} recipes`, {
      hint: '--in-place rewrites them all',
    });
  const cluster = findClusterConfig(process.env, process.cwd());
  const outcomes: Outcome[] = [];
  for (const { file } of found) {
    const { outcome, text } = await migrateOne(file, cluster, found.length > 1);
    outcomes.push(outcome);
    if (text === undefined) continue;
    if (inPlace) {
      if (outcome === 'migrated') await rewrite(file, text);
      process.stdout.write(`${file}: ${outcome}\n`);
    } else if (output === undefined) writeExactly(text);
    else await rewrite(output, text);
  }
  if (found.length > 1) process.stdout.write(`${summary(outcomes)}\n`);
  return outcomes.includes('refused') ? EXIT.usage : EXIT.ok;
}

async function migrateOne(
  file: string,
  cluster: ClusterConfig,
  isOneOfMany: boolean,
): Promise<{ outcome: Outcome; text?: string }> {
  const { isRecipe, migrate } = await import('../../recipe/migrate/migrate.ts');
  const { readTrustedFile } = await import('../../recipe/source/trusted-file.ts');
  const { readOptions } = await import('../../recipe/source/duplicates.ts');
  const { plannedDifferently } = await import('../dry-run/same-plan.ts');
  const warn = (line: string): void => void process.stderr.write(`srtctl: warning: ${line}\n`);
  try {
    const before = readTrustedFile(file, { env: process.env, onWarning: warn });
    const reading = readOptions(process.env, warn);
    if (isOneOfMany && !isRecipe(file, before, reading)) return { outcome: 'no recipe' };
    const text = migrate(file, before, reading);
    if (text === before) return { outcome: 'already in the second layout', text };
    // What there is to say about the file has been said.
    const quiet = { cluster, env: process.env, onWarning: () => {} };
    const differing = plannedDifferently(file, before, text, quiet);
    if (differing === 'unknown')
      warn(`${file} cannot be planned, so it is not certain that it runs the same as before`);
    else if (differing.length > 0)
      throw new SrtctlError(
        'not-migrated',
        'would run something else after the rewrite, so it was left as it is',
        {
          place: { file },
          hint: `please report it; variants: ${differing.map((each) => each || 'base').join(', ')}`,
        },
      );
    return { outcome: 'migrated', text };
  } catch (error) {
    if (!(error instanceof SrtctlError)) throw error;
    sayError(error);
    return { outcome: 'refused' };
  }
}

/** Writes the whole file or nothing, with the mode of the file. */
async function rewrite(file: string, text: string): Promise<void> {
  const { default: writeFileAtomic } = await import('write-file-atomic');
  await writeFileAtomic(file, text);
}

function summary(outcomes: readonly Outcome[]): string {
  const names: Outcome[] = ['migrated', 'already in the second layout', 'refused', 'no recipe'];
  const counts = names.map((name) => [outcomes.filter((each) => each === name).length, name] as const);
  return counts
    .filter(([count, name]) => count > 0 || name === 'migrated')
    .map(([count, name]) => `${count} ${name}`)
    .join(', ');
}
