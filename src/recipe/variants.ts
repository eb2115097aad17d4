import type { OnProblem } from './source/parse-known.ts';
import { type Path, type Problem, RecipeProblems } from './source/problems.ts';
import { choose, NoVariant, type Selector } from './source/selector.ts';
import type { Source } from './source/source.ts';
import { deepMerge, isPlain, type Plain } from './values/merge.ts';

/** One variant of a recipe file before its sweep is expanded. */
export interface RawVariant {
  /** '' for a file without overrides, `x` of override_x, `x_0` for the first of zip_override_x. */
  readonly variant: string;
  /**
   * Its key in the file: `override_x` or `zip_override_x`; `base` when only the base is selected; '' without overrides.
   */
  readonly key: string;
  /** The variant's position in the lists of a zip_override. */
  readonly index?: number | undefined;
  readonly value: Plain;
  /** Possible places of a path of the variant in the file, nearest first. */
  origins(path: Path): Path[];
}

/**
 * What a run of the reference adds to a recipe: where it ran, and what it measured (srt-slurm, core/lockfile.py at
 * 19deaa4). It asks for nothing.
 */
const LOCK = 'lock';

export const OVERRIDE = /^(zip_)?override_(.+)$/;

/**
 * A file is either a recipe or `base` with overrides. With overrides, each override is a variant and `base` alone is
 * none; a selector chooses some of them, or `base`. Other keys go to `onUnknown`, or are an error without it.
 * @throws RecipeProblems; NoVariant when the selector matches none
 */
export function expandVariants(source: Source, selector?: Selector, onUnknown?: OnProblem): RawVariant[] {
  const { value } = source;
  if (!isPlain(value))
    throw problem(source, [], value === null ? 'the file is empty' : 'a recipe must be a map');
  const keys = Object.keys(value).filter((key) => OVERRIDE.test(key));
  if (!('base' in value)) {
    const [first] = keys;
    if (first !== undefined) throw problem(source, [first], 'there is no "base" that it could override');
    if (selector !== undefined) throw new NoVariant(source, selector, []);
    const { [LOCK]: _, ...recipe } = value;
    return [{ variant: '', key: '', value: recipe, origins: (path) => [path] }];
  }
  if (!isPlain(value.base)) throw problem(source, ['base'], 'must be a map');
  const base = 'schema' in value ? { schema: value.schema, ...value.base } : value.base;
  const all = overridesOf(source, value, base, onUnknown);
  if (selector === undefined) return all.length > 0 ? all : [baseVariant(base)];
  if (selector.text === 'base') return [baseVariant(base)];
  const chosen = choose(all, selector);
  if (chosen.length === 0) throw new NoVariant(source, selector, all);
  return [...chosen];
}

const baseVariant = (base: Plain): RawVariant => ({
  variant: '',
  key: 'base',
  value: base,
  origins: (path) => [['base', ...path], ...ofFile(path)],
});

/** `schema` stands beside `base`. */
const ofFile = (path: Path): Path[] => (path[0] === 'schema' ? [path] : []);

function overridesOf(source: Source, value: Plain, base: Plain, onUnknown?: OnProblem): RawVariant[] {
  const problems: Problem[] = [];
  const variants: RawVariant[] = [];
  for (const [key, override] of Object.entries(value)) {
    if (['base', 'schema', LOCK].includes(key)) continue;
    const match = OVERRIDE.exec(key);
    const suffix = match?.[2];
    if (suffix === undefined) {
      const message =
        'unknown key: beside "base" a recipe has only schema, override_<name> and zip_override_<name>';
      (onUnknown ?? ((found) => problems.push(found)))({ message, place: source.place([key]) });
    } else if (!isPlain(override)) {
      problems.push({ message: 'must be a map', place: source.place([key]) });
    } else if (match?.[1] === undefined) {
      variants.push({
        key,
        variant: suffix,
        value: overridden(base, override, suffix),
        origins: (path) => [[key, ...path], ['base', ...path], ...ofFile(path)],
      });
    } else {
      variants.push(...zipVariants(source, base, override, { key, suffix }, problems));
    }
  }
  for (const [at, { variant, key }] of variants.entries()) {
    const other = variants.findIndex((each) => each.variant === variant);
    if (other === at) continue;
    const message = `makes a variant "${variant}", as ${variants[other]?.key} does`;
    problems.push({ message, place: source.place([key]), hint: 'give one of them another name' });
  }
  if (problems.length > 0) throw new RecipeProblems(problems);
  return variants;
}

function zipVariants(
  source: Source,
  base: Plain,
  override: Plain,
  { key, suffix }: { readonly key: string; readonly suffix: string },
  problems: Problem[],
): RawVariant[] {
  const length = zipLength(source, override, [key], problems);
  return Array.from({ length }, (_, index) => {
    const variant = `${suffix}_${index}`;
    return {
      key,
      index,
      variant,
      value: overridden(base, pick(override, index) as Plain, variant),
      origins: (path) => [zipOrigin(source, [key, ...path], index), ['base', ...path], ...ofFile(path)],
    };
  });
}

/** A variant without its own name is named after the base and its suffix. */
function overridden(base: Plain, override: Plain, variant: string): Plain {
  const value = deepMerge(base, override);
  const name = derivedName(base.name, override, variant);
  return name === undefined ? value : { ...value, name };
}

/** The name of a variant whose override sets none; undefined when the override sets one. */
export const derivedName = (base: unknown, override: Plain, variant: string): string | undefined =>
  !Object.hasOwn(override, 'name') && typeof base === 'string' ? `${base}_${variant}` : undefined;

/**
 * How many variants the lists of a zip_override make. All lists have the same length; lists of one element fit any
 * length.
 */
function zipLength(source: Source, value: unknown, path: Path, problems: Problem[]): number {
  let length = 1;
  const visit = (part: unknown, at: Path) => {
    if (isPlain(part)) for (const [key, below] of Object.entries(part)) visit(below, [...at, key]);
    if (!Array.isArray(part) || part.length === 1) return;
    if (part.length === 0) {
      const message = 'an empty list has no value for any variant; an empty list as the value is [[]]';
      problems.push({ message, place: source.place(at) });
    } else if (length === 1) length = part.length;
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
