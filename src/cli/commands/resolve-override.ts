import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { makeNamedDirectory } from '../../os/files/make-directories.ts';
import { addEdits, type EditOptions, editTexts } from '../terminal/options.ts';
import { writeExactly } from '../terminal/terminal.ts';

interface ResolveOptions extends EditOptions {
  readonly file: readonly string[];
  readonly output?: string;
  readonly force?: boolean;
}

export function registerResolveOverride(program: Command): void {
  addEdits(program.command('resolve-override'))
    .description('Write each variant of a recipe as a separate recipe.')
    .requiredOption(
      '-f, --file <path...>',
      'recipes: files, file.yaml:variant, directories, or patterns such as "recipes/**/*.yaml:override_*"',
    )
    .option('-o, --output <dir>', 'one file for each variant, <file>_<variant>.yaml (default: all on stdout)')
    .option('--force', 'with --output: overwrite existing files')
    .addHelpText(
      'after',
      `
Examples:
  srtctl resolve-override -f recipe.yaml
  srtctl resolve-override -f recipe.yaml:override_long --unset benchmark.seed > long.yaml
  srtctl resolve-override -f recipes/ -o resolved/`,
    )
    .action(async (options: ResolveOptions) => {
      process.exitCode = await resolve(options);
    });
}

async function resolve({ file: paths, output, force, ...options }: ResolveOptions): Promise<number> {
  const [
    { readOptions },
    { parseEdits },
    { findRecipes },
    { resolveOverrides },
    { readFileSync, writeFileSync },
    { basename, join },
  ] = await Promise.all([
    import('../../recipe/source/duplicates.ts'),
    import('../../recipe/source/edits.ts'),
    import('../../recipe/source/find.ts'),
    import('../../recipe/resolve-override.ts'),
    import('node:fs'),
    import('node:path'),
  ]);
  const edits = parseEdits(editTexts(options));
  const warn = (line: string) => void process.stderr.write(`srtctl: warning: ${line}\n`);
  const reading = readOptions(process.env, warn);
  const files = await findRecipes(paths);
  const resolved = files.flatMap(({ file, selector }) =>
    resolveOverrides(file, readFileSync(file, 'utf8'), { selector, edits, reading }).map((each) => ({
      file,
      ...each,
    })),
  );
  if (output === undefined) {
    const titled = resolved.map(({ file, variant, text }) =>
      resolved.length > 1 ? `# ${file}${variant === '' ? '' : `:${variant}`}\n${text}` : text,
    );
    writeExactly(titled.join('---\n'));
    return EXIT.ok;
  }
  makeNamedDirectory(output);
  for (const { file, variant, text } of resolved) {
    const name = basename(file).replace(/\.ya?ml$/, '') + (variant === '' ? '' : `_${variant}`);
    const path = join(output, `${name}.yaml`);
    try {
      writeFileSync(path, text, { flag: force ? 'w' : 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      throw new SrtctlError('file-there', `${path} exists already`, { hint: '--force overwrites it' });
    }
    process.stdout.write(`${path}\n`);
  }
  return EXIT.ok;
}
