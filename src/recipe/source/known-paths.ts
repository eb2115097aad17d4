import { distance } from 'fastest-levenshtein';
import type * as z from 'zod';
import { nearest, type Path, pathText } from './problems.ts';
import { keysAt } from './schema-keys.ts';

/**
 * The first key of `path` that no recipe may have, and the known path that is nearest; undefined where every
 * key is known. Below a free map (options of an engine, an environment) every name is.
 * @param value the recipe, whose types select among kinds
 */
export function unknownIn(
  schema: z.core.$ZodType,
  path: Path,
  value: unknown,
): { readonly at: Path; readonly meant?: string | undefined } | undefined {
  for (const [depth, key] of path.entries()) {
    const keys = keysAt(schema, path.slice(0, depth), value);
    if (keys.length === 0 || keys.includes(String(key))) continue;
    const sibling = nearest(String(key), keys);
    const repaired = sibling === undefined ? undefined : path.with(depth, sibling);
    return {
      at: path.slice(0, depth + 1),
      meant:
        repaired && !unknownIn(schema, repaired, value) ? pathText(repaired) : elsewhere(schema, path, value),
    };
  }
  return undefined;
}

/** Deep enough for every key of a recipe. */
const DEEPEST = 4;

/** A known path that ends as this one, or that is written nearly as this one. */
function elsewhere(schema: z.core.$ZodType, path: Path, value: unknown): string | undefined {
  const text = pathText(path);
  const known = allPaths(schema, [], value);
  const nearestOf = (paths: readonly string[]): string | undefined =>
    paths.toSorted((a, b) => distance(a, text) - distance(b, text))[0];
  const endings = path.map((_, at) => `.${pathText(path.slice(at))}`);
  for (const ending of endings) {
    const found = nearestOf(known.filter((each) => `.${each}`.endsWith(ending)));
    if (found !== undefined) return found;
  }
  return nearest(text, known);
}

function allPaths(schema: z.core.$ZodType, path: Path, value: unknown): string[] {
  if (path.length > DEEPEST) return [];
  return keysAt(schema, path, value).flatMap((key) => {
    const below = [...path, key];
    return [pathText(below), ...allPaths(schema, below, value)];
  });
}
