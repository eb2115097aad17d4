import { numberMaps } from '../backends/index.ts';
import { type SourcePlace, SrtctlError } from '../os/errors.ts';
import { editedRecipe, placesIn } from './edited.ts';
import type { Moves } from './layouts/moves.ts';
import { readLayout } from './layouts/read.ts';
import { recipeSchema } from './layouts/recipe-schema.ts';
import { type Environment, resolveRecipe } from './resolve.ts';
import type { ClusterConfig } from './schema/cluster.ts';
import { readOptions } from './source/duplicates.ts';
import type { Edit } from './source/edits.ts';
import type { RecipeFile } from './source/find.ts';
import { type OnProblem, parseKnown } from './source/parse-known.ts';
import { type Path, type Problem, pathText, RecipeProblems } from './source/problems.ts';
import { PendingSelectors } from './source/selector.ts';
import { parseSource, type Source } from './source/source.ts';
import { readTrustedFile } from './source/trusted-file.ts';
import { expandSweep, type SweepPoint, SweepProblem, sweepSettings } from './sweep.ts';
import { isPlain, type Plain } from './values/merge.ts';
import type { SweepSettings } from './values/sweep-settings.ts';
import type { LoadedVariant } from './variant.ts';
import { expandVariants, type RawVariant } from './variants.ts';

export { parseEdits } from './source/edits.ts';
export { findRecipes } from './source/find.ts';
export { type LoadedVariant, loadedVariantSchema } from './variant.ts';

type LoadedRecipe = LoadedVariant['points'][number]['recipe'];

export interface LoadOptions {
  readonly cluster: ClusterConfig;
  /** For `$VAR` in paths. */
  readonly env: Environment;
  /** Called for each unknown key, which is then ignored; without it unknown keys are errors. */
  readonly onUnknownKey?: OnProblem | undefined;
  /** Called with a line about a file that is read all the same; by default the line is printed. */
  readonly onWarning?: (line: string) => void;
  /** Changes of the command line to every variant. */
  readonly edits?: readonly Edit[] | undefined;
}

/** One variant, or its errors. */
export type VariantResult =
  | { readonly variant: string; readonly loaded: LoadedVariant }
  | { readonly variant: string; readonly error: SrtctlError };

/**
 *
 * @throws RecipeProblems for the first invalid variant of the files
 */
export const loadAll = (files: readonly RecipeFile[], options: LoadOptions): LoadedVariant[] =>
  [...loadEach(files, options)].map(({ result }) => {
    if ('error' in result) throw result.error;
    return result.loaded;
  });

/**
 * The variants of all files, one after the other.
 * @throws RecipeError at the end when a selector for several files matched in none of them
 */
export function* loadEach(
  files: readonly RecipeFile[],
  options: LoadOptions,
): Generator<{ readonly file: string; readonly result: VariantResult }> {
  const pending = new PendingSelectors();
  for (const recipe of files) {
    for (const result of loadRecipeFile(recipe, options)) {
      if ('error' in result && pending.passesOver(recipe, result.error)) continue;
      pending.took(recipe);
      yield { file: recipe.file, result };
    }
  }
  pending.end();
}

/** The variants of one file; an error that concerns the whole file is one result with variant ''. */
export function loadRecipeFile(recipe: RecipeFile, options: LoadOptions): VariantResult[] {
  return orErrors(() => {
    const text = readTrustedFile(recipe.file, { env: options.env, onWarning: options.onWarning ?? warn });
    return loadRecipeText(recipe, text, options);
  });
}

/** The same for the text of a file. */
export function loadRecipeText(
  { file, selector }: RecipeFile,
  text: string,
  options: LoadOptions,
): VariantResult[] {
  return orErrors(() => {
    const source = parseSource(file, text, numberMaps, readOptions(options.env, options.onWarning ?? warn));
    return expandVariants(source, selector, options.onUnknownKey).map((raw) =>
      result(raw.variant, () => loadVariant(source, raw, options)),
    );
  });
}

function orErrors(load: () => VariantResult[]): VariantResult[] {
  try {
    return load();
  } catch (error) {
    if (error instanceof SrtctlError) return [{ variant: '', error }];
    throw error;
  }
}

const warn = (line: string): void => void process.stderr.write(`srtctl: warning: ${line}\n`);

function result(variant: string, load: () => LoadedVariant): VariantResult {
  try {
    return { variant, loaded: load() };
  } catch (error) {
    if (error instanceof SrtctlError) return { variant, error };
    throw error;
  }
}

function loadVariant(source: Source, written: RawVariant, options: LoadOptions): LoadedVariant {
  const { edits = [] } = options;
  const raw = { ...written, value: editedRecipe(written.value, edits, source.file) };
  const place = placesIn(source, raw, edits);
  const problems: Problem[] = [];
  const { settings, expanded } = sweepOf(raw, place);
  let moves: Moves | undefined;
  let canonical: Plain = {};
  const points = expanded.map(({ params, value }) => {
    const read = readLayout(value, place, options.onUnknownKey);
    if ('problems' in read) {
      addNew(problems, read.problems);
      return { params, name: '', recipe: undefined };
    }
    moves ??= read.moves;
    canonical = read.value;
    const resolved = resolveRecipe(read.value, options.cluster, options.env);
    const placeOf = (path: Path) => place(read.moves.written(path));
    const recipe = checkRecipe(resolved, placeOf, { problems, onUnknownKey: options.onUnknownKey });
    return { params: params === null ? null : { ...params }, name: pointName(raw, recipe, params), recipe };
  });
  if (problems.length > 0) throw new RecipeProblems(problems);
  const complete = points.flatMap((point) => (point.recipe ? [{ ...point, recipe: point.recipe }] : []));
  return {
    file: source.file,
    variant: raw.variant,
    name: variantName(raw, points.length > 1 ? undefined : points[0]?.name),
    places: placesOf({ ...canonical, sweep: raw.value.sweep }, moves, place),
    sweep: settings,
    ...(edits.length > 0 ? { edits: edits.map(({ option }) => option) } : {}),
    points: complete,
  };
}

function sweepOf(
  raw: RawVariant,
  place: (path: Path) => SourcePlace,
): { settings: SweepSettings; expanded: SweepPoint[] } {
  try {
    return { settings: sweepSettings(raw.value), expanded: expandSweep(raw.value) };
  } catch (error) {
    if (!(error instanceof SweepProblem)) throw error;
    throw new RecipeProblems([{ message: error.message, place: place(error.path) }]);
  }
}

interface Found {
  readonly problems: Problem[];
  readonly onUnknownKey: OnProblem | undefined;
}

/** Adds new problems to `problems`, because the points of a sweep mostly have the same ones. */
function addNew(problems: Problem[], found: readonly Problem[]): void {
  for (const problem of found) {
    const same = (other: Problem) =>
      other.message === problem.message && other.place.path === problem.place.path;
    if (!problems.some(same)) problems.push(problem);
  }
}

function checkRecipe(
  value: Plain,
  place: (path: Path) => SourcePlace,
  { problems, onUnknownKey }: Found,
): LoadedRecipe | undefined {
  const parsed = parseKnown(recipeSchema, value, place, onUnknownKey);
  return 'data' in parsed ? parsed.data : void addNew(problems, parsed.problems);
}

/** A point's name is the recipe's; parameters are added where that name is the same for all points. */
function pointName(raw: RawVariant, recipe: LoadedRecipe | undefined, params: SweepPoint['params']): string {
  const name = recipe?.name ?? '';
  if (params === null || name !== raw.value.name) return name;
  return [name, ...Object.entries(params).map(([key, value]) => `${key}${textOf(value)}`)].join('_');
}

const textOf = (value: unknown): string =>
  typeof value === 'object'
    ? JSON.stringify(value)
        .replaceAll(/[^\w.]+/g, '-')
        .replaceAll(/^-|-$/g, '')
    : String(value);

function variantName(raw: RawVariant, only: string | undefined): string {
  const { name } = raw.value;
  if (raw.value.sweep === undefined && only !== undefined) return only;
  return String(name).replaceAll(/[-_]?[A-Za-z]*\{\w+\}/g, '') || 'sweep';
}

/** Sections whose fields planning and starting may refuse. */
const REFUSABLE = [
  ...[
    'model',
    'resources',
    'benchmark',
    'frontend',
    'backend',
    'roles',
    'services',
    'profiling',
    'setup_script',
  ],
  ...[
    'sweep',
    'slurm',
    'supervision',
    'experiment',
    'dynamo',
    'observability',
    'telemetry',
    'reporting',
    'host_setup',
    'output',
  ],
  ...['health_check', 'experiment', 'post_eval', 'infra'],
];

/** Depth of the sections with options of engines, routers and services; each section may be refused. */
const DEEP: Readonly<Record<string, number>> = { backend: 3, frontend: 2, roles: 5, services: 2 };

/** Places of the fields that planning and starting may refuse, by their canonical paths. */
function placesOf(
  value: Plain,
  moves: Moves | undefined,
  place: (path: Path) => SourcePlace,
): LoadedVariant['places'] {
  const paths = REFUSABLE.flatMap((section) => pathsBelow(value[section], [section], DEEP[section] ?? 1));
  return Object.fromEntries(
    [...paths, ...(moves?.canonical() ?? [])].flatMap((path): [string, LoadedVariant['places'][string]][] => {
      const written = moves?.written(path) ?? path;
      const { line, column, option } = place(written);
      const moved = pathText(written) === pathText(path) ? {} : { path: pathText(written) };
      if (option !== undefined) return [[pathText(path), { option, ...moved }]];
      return line === undefined || column === undefined ? [] : [[pathText(path), { line, column, ...moved }]];
    }),
  );
}

function pathsBelow(value: unknown, path: Path, depth: number): Path[] {
  if (value === undefined) return [];
  if (depth === 0) return [path];
  const below = Array.isArray(value)
    ? value.flatMap((item, index) => pathsBelow(item, [...path, index], depth - 1))
    : isPlain(value)
      ? Object.keys(value).flatMap((key) => pathsBelow(value[key], [...path, key], depth - 1))
      : [];
  return [path, ...below];
}
