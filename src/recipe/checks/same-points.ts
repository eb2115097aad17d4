import { isDeepStrictEqual } from 'node:util';
import type { LoadedVariant } from '../variant.ts';

/** Points of a sweep that only differ in their names. */
export interface SamePoints {
  /** null: the list contains a value twice. */
  readonly parameter: string | null;
  /** Number of points beyond the distinct ones. */
  readonly repeated: number;
}

/**
 * Sweep parameters whose values do not change the recipe, so that the same point is measured more than once.
 */
export function samePoints({ points }: LoadedVariant): SamePoints[] {
  if (points.length < 2) return [];
  const groups = new Map<string, LoadedVariant['points']>();
  for (const point of points) {
    const { name: _, ...recipe } = point.recipe;
    const key = JSON.stringify(recipe);
    const group = groups.get(key);
    if (group) group.push(point);
    else groups.set(key, [point]);
  }
  const repeated = points.length - groups.size;
  if (repeated === 0) return [];
  const idle = new Set<string>();
  for (const [first, ...others] of groups.values())
    for (const name of Object.keys(first?.params ?? {}))
      if (others.some(({ params }) => !isDeepStrictEqual(params?.[name], first?.params?.[name])))
        idle.add(name);
  return idle.size === 0
    ? [{ parameter: null, repeated }]
    : [...idle].map((parameter) => ({ parameter, repeated }));
}
