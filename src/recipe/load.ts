import { backendTypes, numberMaps } from '../backends/index.ts';
import { benchmarkTypes } from '../benchmarks/index.ts';
import { frontendTypes } from '../frontends/index.ts';
import { type SourcePlace, SrtctlError } from '../os/errors.ts';
import { recipeSchema } from './recipe-schema.ts';
import { type Environment, resolveRecipe } from './resolve.ts';
import type { ClusterConfig } from './schema/cluster.ts';
import type { RecipeFile } from './source/find.ts';
import { type OnProblem, parseKnown } from './source/parse-known.ts';
import { nearest, type Path, type Problem, pathText, RecipeProblems } from './source/problems.ts';
import { PendingSelectors } from './source/selector.ts';
import { parseSource, type Source } from './source/source.ts';
import { readTrustedFile } from './source/trusted-file.ts';
import { expandSweep, type SweepPoint, SweepProblem, sweepSettings } from './sweep.ts';
import { isPlain, type Plain } from './values/merge.ts';
import type { SweepSettings } from './values/sweep-settings.ts';
import type { LoadedVariant } from './variant.ts';
import { expandVariants, type RawVariant } from './variants.ts';

export { findRecipes } from './source/find.ts';
export { type LoadedVariant, loadedVariantSchema } from './variant.ts';

type LoadedRecipe = LoadedVariant['points'][number]['recipe'];

export interface LoadOptions {
  readonly cluster: ClusterConfig;
  /** For `$VAR` in paths. */
  readonly env: Environment;
  /** Called for each unknown key, which is then ignored; without it unknown keys are errors. */
  readonly onUnknownKey?: OnProblem | undefined;
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
export function loadRecipeFile({ file, selector }: RecipeFile, options: LoadOptions): VariantResult[] {
  try {
    const source = parseSource(
      file,
      readTrustedFile(file, { env: options.env, onWarning: warn }),
      numberMaps,
    );
    return expandVariants(source, selector, options.onUnknownKey).map((raw) =>
      result(raw.variant, () => loadVariant(source, raw, options)),
    );
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

function loadVariant(source: Source, raw: RawVariant, options: LoadOptions): LoadedVariant {
  const place = (path: Path): SourcePlace => {
    const origins = raw.origins(path);
    const origin = origins.find((each) => source.has(each)) ?? origins.at(-1) ?? path;
    return { ...source.place(origin), path: pathText(path) };
  };
  const problems: Problem[] = [];
  const { settings, expanded } = sweepOf(raw, place);
  const points = expanded.map(({ params, value }) => {
    const resolved = resolveRecipe(value, options.cluster, options.env);
    const recipe = checkRecipe(resolved, place, { problems, onUnknownKey: options.onUnknownKey });
    return { params: params === null ? null : { ...params }, name: pointName(raw, recipe, params), recipe };
  });
  if (problems.length > 0) throw new RecipeProblems(problems);
  const complete = points.flatMap((point) => (point.recipe ? [{ ...point, recipe: point.recipe }] : []));
  return {
    file: source.file,
    variant: raw.variant,
    name: variantName(raw, points.length > 1 ? undefined : points[0]?.name),
    places: placesOf(raw.value, place),
    sweep: settings,
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
function checkRecipe(
  value: Plain,
  place: (path: Path) => SourcePlace,
  { problems, onUnknownKey }: Found,
): LoadedRecipe | undefined {
  const add = (found: readonly Problem[]) => {
    for (const problem of found) {
      const same = (other: Problem) =>
        other.message === problem.message && other.place.path === problem.place.path;
      if (!problems.some(same)) problems.push(problem);
    }
  };
  const unknown = unknownTypes(value, place);
  if (unknown.length > 0) return void add(unknown);
  const parsed = parseKnown(recipeSchema, value, place, onUnknownKey);
  return 'data' in parsed ? parsed.data : void add(parsed.problems);
}

/** Reports an unknown kind first and alone, because every key of that kind would be a further error. */
function unknownTypes(value: Plain, place: (path: Path) => SourcePlace): Problem[] {
  const known: [string, readonly string[]][] = [
    ['backend', backendTypes],
    ['frontend', frontendTypes],
    ['benchmark', benchmarkTypes],
  ];
  return known.flatMap(([section, types]) => {
    const part = value[section];
    const type = isPlain(part) ? part.type : undefined;
    if (typeof type !== 'string' || types.includes(type)) return [];
    const meant = nearest(type, types);
    return [
      {
        message: `unknown ${section} "${type}", known: ${types.join(', ')}`,
        place: place([section, 'type']),
        hint: meant === undefined ? undefined : `did you mean "${meant}"?`,
      },
    ];
  });
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

/** Places of the fields that planning and starting may refuse. */
function placesOf(value: Plain, place: (path: Path) => SourcePlace): LoadedVariant['places'] {
  const paths: Path[] = [];
  for (const section of [
    'model',
    'resources',
    'benchmark',
    'frontend',
    'backend',
    'profiling',
    'setup_script',
    'sweep',
    'slurm',
    'supervision',
    'dynamo',
    'observability',
    'telemetry',
    'reporting',
    'host_setup',
    'output',
  ]) {
    const part = value[section];
    if (part === undefined) continue;
    paths.push([section]);
    if (isPlain(part)) for (const key of Object.keys(part)) paths.push([section, key]);
  }
  return Object.fromEntries(
    paths.flatMap((path) => {
      const { line, column } = place(path);
      return line === undefined || column === undefined ? [] : [[pathText(path), { line, column }] as const];
    }),
  );
}
