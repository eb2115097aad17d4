import { deepMerge, isPlain, type Plain } from './merge.ts';
import { type Path, type Problem, RecipeProblems } from './problems.ts';
import type { Source } from './source.ts';

/** One variant of a recipe file before its sweep is expanded. */
export interface RawVariant {
  /** '' for a file without overrides, `x` of override_x, `x_0` for the first of zip_override_x. */
  readonly variant: string;
  readonly value: Plain;
  /** Where a path of the variant can stand in the file, nearest first. */
  origins(path: Path): Path[];
}

const OVERRIDE = /^(zip_)?override_(.+)$/;

/**
 * A file is either a recipe or `base` with overrides. With overrides, they are its variants and `base` alone is none;
 * `selector` takes one of them (`x`, `override_x`, `x_0`), a whole zip_override (`zip_override_x`), or `base`.
 */
export function expandVariants(source: Source, selector?: string): RawVariant[] {
  const { value } = source;
  if (!isPlain(value))
    throw problem(source, [], value === null ? 'the file is empty' : 'a recipe must be a map');
  const all = isPlain(value.base) ? overridesOf(source, value, value.base) : [plainVariant(value)];
  if (selector === undefined) return all;
  if (selector === 'base' && isPlain(value.base)) return [baseVariant(value.base)];
  const wanted = selector.replace(OVERRIDE, '$2').replace(/\[(\d+)\]$/, '_$1');
  const exact = all.filter((each) => each.variant === wanted);
  const chosen =
    exact.length > 0 ? exact : all.filter((each) => each.variant.replace(/_\d+$/, '') === wanted);
  if (chosen.length > 0) return chosen;
  const names = all.map((each) => each.variant).filter((name) => name !== '');
  const known = names.length > 0 ? `it has ${names.join(', ')}` : 'it has no overrides';
  throw problem(source, [], `no variant "${selector}" in this recipe: ${known}`);
}

const plainVariant = (value: Plain): RawVariant => ({ variant: '', value, origins: (path) => [path] });

const baseVariant = (base: Plain): RawVariant => ({
  variant: '',
  value: base,
  origins: (path) => [['base', ...path]],
});

function overridesOf(source: Source, value: Plain, base: Plain): RawVariant[] {
  const problems: Problem[] = [];
  const variants: RawVariant[] = [];
  for (const [key, override] of Object.entries(value)) {
    if (key === 'base') continue;
    const match = OVERRIDE.exec(key);
    const suffix = match?.[2];
    if (suffix === undefined) {
      const message = 'unknown key: beside "base" a recipe has only override_<name> and zip_override_<name>';
      problems.push({ message, place: source.place([key]) });
    } else if (!isPlain(override)) {
      problems.push({ message: 'must be a map', place: source.place([key]) });
    } else if (match?.[1] === undefined) {
      variants.push(overridden(base, override, suffix, (path) => [key, ...path]));
    } else {
      const length = zipLength(source, override, [key], problems);
      for (let index = 0; index < length; index++) {
        const picked = pick(override, index) as Plain;
        variants.push(
          overridden(base, picked, `${suffix}_${index}`, (path) => zipOrigin(source, [key, ...path], index)),
        );
      }
    }
  }
  if (problems.length > 0) throw new RecipeProblems(problems);
  return variants.length > 0 ? variants : [baseVariant(base)];
}

/** A variant without a name of its own is called after the base and itself. */
function overridden(base: Plain, override: Plain, variant: string, origin: (path: Path) => Path): RawVariant {
  const value = deepMerge(base, override);
  if (!('name' in override) && typeof base.name === 'string') value.name = `${base.name}_${variant}`;
  return { variant, value, origins: (path) => [origin(path), ['base', ...path]] };
}

/** How many variants the lists of a zip_override make: all of the same length, where lists of one fit any. */
function zipLength(source: Source, value: unknown, path: Path, problems: Problem[]): number {
  let length = 1;
  const visit = (part: unknown, at: Path) => {
    if (isPlain(part)) for (const [key, below] of Object.entries(part)) visit(below, [...at, key]);
    if (!Array.isArray(part) || part.length === 1) return;
    if (length === 1 && part.length > 0) length = part.length;
    else if (part.length !== length) {
      const message = `lists of a zip_override must be equally long: this one has ${part.length}, another ${length}`;
      problems.push({ message, place: source.place(at) });
    }
  };
  visit(value, path);
  return length;
}

function pick(value: unknown, index: number): unknown {
  if (Array.isArray(value)) return value.length === 1 ? value[0] : value[index];
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, pick(below, index)]));
}

/** In a zip_override a value stands one level deeper, in its list. */
function zipOrigin(source: Source, path: Path, index: number): Path {
  for (const position of [index, 0]) if (source.has([...path, position])) return [...path, position];
  return path;
}

const problem = (source: Source, path: Path, message: string) =>
  new RecipeProblems([{ message, place: source.place(path) }]);
