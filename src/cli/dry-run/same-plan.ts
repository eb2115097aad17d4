import { createHash } from 'node:crypto';
import { type LoadOptions, loadRecipeText } from '../../recipe/load.ts';
import { planAllocations } from './plan.ts';

/** What the variants of a recipe file would run, each as a digest; undefined when one cannot be planned. */
function plansOf(file: string, text: string, options: LoadOptions): Map<string, string> | undefined {
  const plans = new Map<string, string>();
  for (const result of loadRecipeText({ file }, text, options)) {
    if ('error' in result) return undefined;
    const made = planAllocations(result.loaded, options.cluster);
    if ('error' in made) return undefined;
    const digest = createHash('sha256');
    for (const { head, points } of made.planned) {
      digest.update(JSON.stringify(head));
      for (const { services: _, ...point } of points()) digest.update(JSON.stringify(point, withoutPlaces));
    }
    plans.set(result.variant, digest.digest('hex'));
  }
  return plans;
}

/**
 * What the first layout implies is a service with an entry of its own in the second; its process is the same, and
 * benchmarks get its place in further variables.
 */
const withoutPlaces = (key: string, value: unknown): unknown =>
  key.startsWith('SRT_SERVICE_') ? undefined : value;

/**
 * Compares what two texts of a recipe file would run: the variants that differ, or 'unknown' when the first text
 * cannot be planned, so there is nothing to compare with.
 */
export function plannedDifferently(
  file: string,
  before: string,
  after: string,
  options: LoadOptions,
): readonly string[] | 'unknown' {
  const old = plansOf(file, before, options);
  if (!old) return 'unknown';
  const now = plansOf(file, after, options) ?? new Map<string, string>();
  return [...new Set([...old.keys(), ...now.keys()])].filter(
    (variant) => old.get(variant) !== now.get(variant),
  );
}
