import { recipeMode } from '../../backends/common/protocol.ts';
import type { EndpointMode, ProcessSpec } from '../../model/kinds.ts';
import { pathOfMode, recipeOf } from '../../model/recipe-of.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { Path } from '../../recipe/source/problems.ts';
import { optionName } from '../../recipe/values/flags.ts';

const isMode = (role: ProcessSpec['role']): role is EndpointMode =>
  role === 'prefill' || role === 'decode' || role === 'agg';

/**
 * The place in a recipe of an option that a planned command line has; of its section, when srtctl itself adds
 * the option.
 */
export function optionPath(recipe: Recipe, role: ProcessSpec['role'], option: string): Path {
  if (!isMode(role)) return found(recipe, [['frontend', 'args']], option) ?? ['frontend'];
  const view = recipeOf(recipe, role);
  const path = found(view, sectionsOf(view, role), option) ?? ['backend'];
  const [section = '', ...keys] = path;
  return [...pathOfMode(recipe, role, [String(section)]), ...keys];
}

/** Every engine has its options in `<engine>_config.<mode>`, words in `<mode>_extra_args`, or keys of its own. */
function sectionsOf({ backend }: Recipe, mode: EndpointMode): Path[] {
  const name = recipeMode(mode);
  const configs = Object.keys(backend).filter((key) => key.endsWith('_config'));
  return [...configs.map((key) => ['backend', key, name]), ['backend', `${name}_extra_args`], ['backend']];
}

function found(recipe: Recipe, sections: readonly Path[], option: string): Path | undefined {
  for (const section of sections) {
    const key = keyOf(valueAt(recipe, section), option);
    if (key !== undefined) return [...section, key];
  }
  return undefined;
}

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (at, key) =>
      typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[key] : undefined,
    value,
  );

/** The key or index of an option in a map of options or a list of words. */
function keyOf(section: unknown, option: string): string | number | undefined {
  if (Array.isArray(section)) {
    const at = section.findIndex((word) => String(word).split('=')[0] === option);
    return at < 0 ? undefined : at;
  }
  if (typeof section !== 'object' || section === null) return undefined;
  const keys = Object.keys(section);
  const name = (text: string) => keys.find((key) => optionName(key) === optionName(text));
  return name(option.replace(/^--/, '')) ?? name(option.replace(/^--no-/, ''));
}
