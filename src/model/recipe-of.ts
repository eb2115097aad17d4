import type { EndpointMode } from '../messages/spec/process-spec.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import type { Finding } from './checks.ts';

type ByMode = Map<EndpointMode, Recipe>;

const viewsOf = new WeakMap<Recipe, ByMode>();
const wholeOf = new WeakMap<Recipe, Recipe>();

/** The modes of a recipe that have workers, in the order of their placement. */
export const modesOf = ({ resources }: Recipe): EndpointMode[] =>
  (['prefill', 'decode', 'agg'] as const).filter((mode) => (resources[`${mode}_workers`] ?? 0) > 0);

/**
 * The recipe as the workers of one mode see it: `backend`, the image and the options of srun are their own. It is the
 * same object each time, and the recipe itself where the mode has nothing of its own. A view of one mode can be asked for
 * that of another.
 */
export function recipeOf(recipe: Recipe, mode: EndpointMode): Recipe {
  const whole = wholeOf.get(recipe) ?? recipe;
  const own = whole.roles?.[mode];
  if (own?.engine == null && own?.container == null && own?.srun_options == null) return whole;
  const views: ByMode = viewsOf.get(whole) ?? new Map();
  viewsOf.set(whole, views);
  const known = views.get(mode);
  if (known) return known;
  const { engine, container, srun_options } = own;
  const view: Recipe = {
    ...whole,
    backend: engine ?? whole.backend,
    model: container == null ? whole.model : { ...whole.model, container },
    srun_options: { ...whole.srun_options, ...srun_options },
  };
  views.set(mode, view);
  wholeOf.set(view, whole);
  return view;
}

/** The recipes of all modes with workers; one where no mode has anything of its own. */
export const recipesOf = (recipe: Recipe): Recipe[] => [
  ...new Set(modesOf(recipe).map((mode) => recipeOf(recipe, mode))),
];

/** The place in the recipe of a key of `backend`, which a mode with an engine of its own has under `roles`. */
export function pathOfMode(recipe: Recipe, mode: EndpointMode, path: readonly string[]): string[] {
  const [section, ...keys] = path;
  const whole = wholeOf.get(recipe) ?? recipe;
  return section === 'backend' && whole.roles?.[mode]?.engine != null
    ? ['roles', mode, 'engine', ...keys]
    : [...path];
}

/** What a check finds in the engine of each mode, with its place in the recipe. */
export function ofEngines(
  recipe: Recipe,
  check: (view: Recipe) => readonly Finding[] | undefined,
): Finding[] {
  const modes = modesOf(recipe);
  const views = new Map(modes.map((mode) => [recipeOf(recipe, mode), mode]));
  return [...views].flatMap(([view, mode]) =>
    (check(view) ?? []).map((finding) => ({ ...finding, path: pathOfMode(recipe, mode, finding.path) })),
  );
}
