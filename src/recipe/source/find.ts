import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RecipeError } from '../../os/errors.ts';
import { nearest } from './problems.ts';
import { listed, type Selector } from './selector.ts';

/** A file to load, and its selected variants. */
export interface RecipeFile {
  readonly file: string;
  readonly selector?: Selector | undefined;
}

/**
 * Every file that the paths name, each once: a recipe, a directory with all recipes below it, or a pattern,
 * each with or without a selector after a colon.
 * @throws RecipeError when a path matches nothing
 */
export async function findRecipes(paths: readonly string[]): Promise<RecipeFile[]> {
  const found = new Map<string, RecipeFile>();
  for (const path of paths) {
    const named = split(path);
    const files = isPattern(named.path) ? await matching(named.path) : filesAt(named.path);
    const selector = await selectorOf(named.selector, files.length > 1);
    for (const file of files) {
      const key = JSON.stringify([file, selector?.text]);
      if (!found.has(key)) found.set(key, { file, selector });
    }
  }
  return [...found.values()];
}

/** A file may have a colon in its name: an existing path has no selector. */
function split(text: string): { path: string; selector?: string } {
  if (existsSync(text)) return { path: text };
  const [, path, selector] = /^(.+?\.ya?ml):(.+)$/.exec(text) ?? /^(.+):([^/]+)$/.exec(text) ?? [];
  if (path === undefined || selector === undefined) return { path: text };
  return /\.ya?ml$/.test(path) || isPattern(path) || existsSync(path) ? { path, selector } : { path: text };
}

/** An existing path is no pattern, whatever its name contains. */
const isPattern = (text: string): boolean => hasWildcards(text) && !existsSync(text);

const hasWildcards = (text: string): boolean => /[*?[{]|[!@+]\(/.test(text);

/** The files that count as recipes in a directory or a pattern. */
const isRecipe = (file: string): boolean => /\.ya?ml$/.test(file) && !/srtslurm\.ya?ml$/.test(file);

function filesAt(path: string): string[] {
  if (!existsSync(path)) throw missing(path);
  if (!statSync(path).isDirectory()) return [path];
  const names = recipesBelow(path);
  if (names.length === 0)
    throw new RecipeError('no-recipe', 'no recipe (*.yaml) in this directory', { place: { file: path } });
  return names.map((name) => join(path, name));
}

const recipesBelow = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(isRecipe).sort();

/** Recipes below the pattern's longest literal directory that match it. */
async function matching(pattern: string): Promise<string[]> {
  const parts = pattern.split('/');
  const root =
    parts.slice(0, parts.findIndex(hasWildcards)).join('/') || (pattern.startsWith('/') ? '/' : '.');
  const { default: picomatch } = await import('picomatch');
  const matches = picomatch(pattern.replace(/^(\.\/)+/, ''), { dot: true, bash: false });
  const there = existsSync(root) && statSync(root).isDirectory() ? recipesBelow(root) : [];
  const files = there.map((name) => (root === '.' ? name : join(root, name))).filter((file) => matches(file));
  if (files.length > 0) return files;
  throw new RecipeError('no-recipe', 'no recipe matches', {
    place: { file: pattern },
    ...(there.length > 0 ? { hint: `${root} has ${listed(there)}` } : {}),
  });
}

function missing(path: string): RecipeError {
  const directory = dirname(path);
  const there = existsSync(directory) && statSync(directory).isDirectory() ? readdirSync(directory) : [];
  const meant = nearest(
    path,
    there.map((name) => join(directory, name)),
  );
  return new RecipeError('no-recipe', 'no such file', {
    place: { file: path },
    ...(meant === undefined ? {} : { hint: `did you mean "${meant}"?` }),
  });
}

/** A final [n] of a name is the number of a variant, not a character class. */
async function selectorOf(text: string | undefined, filter: boolean): Promise<Selector | undefined> {
  if (text === undefined) return undefined;
  const [, name = text, number = ''] = /^(.*)(\[\d+\])$/.exec(text) ?? [];
  if (!hasWildcards(name)) return { text, filter };
  const { default: picomatch } = await import('picomatch');
  const pattern = name + number.replaceAll(/[[\]]/g, '\\$&');
  const matcher = picomatch(pattern, { dot: true, bash: true });
  // The matcher takes further parameters, which callers must not pass by accident.
  return { text, filter, matches: (name) => matcher(name) };
}
