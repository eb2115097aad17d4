import * as z from 'zod';
import type { SourcePlace } from '../os/errors.ts';
import { recipeSchema } from './recipe-schema.ts';
import { type Path, pathText } from './source/problems.ts';
import { sweepSettingsSchema } from './values/sweep-settings.ts';

/**
 * One variant of a recipe file, ready to plan: an allocation with all its points. It is plain data, so the process
 * that plans it again in the job reads it from a file.
 */
export const loadedVariantSchema = z.object({
  file: z.string(),
  /** '' when the file has no overrides. */
  variant: z.string(),
  name: z.string(),
  /** Line and column of what a later step may complain about, by path. */
  places: z.record(z.string(), z.object({ line: z.number(), column: z.number() })),
  /** How its points are run. */
  sweep: sweepSettingsSchema,
  points: z
    .array(
      z.object({
        /** Its number in the recipe's sweep where it is not its place in this list: see plan/allocations.ts. */
        ordinal: z.number().int().nonnegative().optional(),
        params: z.record(z.string(), z.unknown()).nullable(),
        name: z.string(),
        recipe: recipeSchema,
      }),
    )
    .min(1),
});
export type LoadedVariant = z.infer<typeof loadedVariantSchema>;

/** Number of a point in the recipe's sweep, which its directory carries. */
export const ordinalOf = (variant: LoadedVariant, at: number): number => variant.points[at]?.ordinal ?? at;

/** One more than the last point's number: of a part of a sweep, more than it has points. */
export const numbersOf = ({ points }: LoadedVariant): number =>
  points.reduce((most, { ordinal }, at) => Math.max(most, (ordinal ?? at) + 1), 0);

/** Where in the file a path of a variant stands, or its nearest ancestor that is known. */
export function placeIn(variant: LoadedVariant, path: Path): SourcePlace {
  for (let length = path.length; length > 0; length--) {
    const known = variant.places[pathText(path.slice(0, length))];
    if (known) return { file: variant.file, ...known, path: pathText(path) };
  }
  return { file: variant.file, path: pathText(path) };
}
