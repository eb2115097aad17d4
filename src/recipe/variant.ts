import * as z from 'zod';
import type { SourcePlace } from '../os/errors.ts';
import { recipeSchema } from './layouts/recipe-schema.ts';
import { type Path, pathText } from './source/problems.ts';
import { sweepSettingsSchema } from './values/sweep-settings.ts';

/**
 * One variant of a recipe file, ready to plan: an allocation with all its points. A variant is plain data, so the
 * coordinator reads it from a file and plans it again.
 */
export const loadedVariantSchema = z.object({
  file: z.string(),
  /** '' when the file has no overrides. */
  variant: z.string(),
  name: z.string(),
  /**
   * Line and column, or option of the command line, of every value that a later step may report, by its path in the
   * canonical recipe; `path` is the path in the file where that differs.
   */
  places: z.record(
    z.string(),
    z.union([
      z.object({ line: z.number(), column: z.number(), path: z.string().optional() }),
      z.object({ option: z.string(), path: z.string().optional() }),
    ]),
  ),
  /** Options of the command line that changed the recipe, in their order. */
  edits: z.array(z.string()).optional(),
  /** The settings for running its points. */
  sweep: sweepSettingsSchema,
  /** Points of the sweep that do not fit, where the recipe leaves them out. */
  leftOut: z
    .array(
      z.object({
        ordinal: z.number().int().nonnegative(),
        params: z.record(z.string(), z.unknown()).nullable(),
        reason: z.string(),
      }),
    )
    .optional(),
  points: z
    .array(
      z.object({
        /**
         * The point's number in the recipe's sweep, when it is not the position in this list: see plan/allocations.ts.
         */
        ordinal: z.number().int().nonnegative().optional(),
        params: z.record(z.string(), z.unknown()).nullable(),
        name: z.string(),
        recipe: recipeSchema,
      }),
    )
    .min(1),
});
export type LoadedVariant = z.infer<typeof loadedVariantSchema>;

/** Number of a point in the recipe's sweep. The point's directory is named after it. */
export const ordinalOf = (variant: LoadedVariant, at: number): number => variant.points[at]?.ordinal ?? at;

/** The last point's number plus one. For a part of a sweep this is more than its number of points. */
export const numbersOf = ({ points }: LoadedVariant): number =>
  points.reduce((most, { ordinal }, at) => Math.max(most, (ordinal ?? at) + 1), 0);

/** The place in the file of a path of a variant, or of the path's nearest known ancestor. */
export function placeIn(variant: LoadedVariant, path: Path): SourcePlace {
  for (let length = path.length; length > 0; length--) {
    const known = variant.places[pathText(path.slice(0, length))];
    if (!known) continue;
    const { path: written, ...place } = known;
    const shown = written === undefined ? pathText(path) : [written, ...path.slice(length)].join('.');
    return { file: variant.file, ...place, path: shown };
  }
  return { file: variant.file, path: pathText(path) };
}
