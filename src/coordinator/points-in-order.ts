import type { JobContext } from '../plan/kinds.ts';
import { planVariant } from '../plan/plan.ts';
import type { LoadedVariant } from '../recipe/load.ts';

/**
 * The points of a job in the order in which they run. Which is the cheapest does not depend on where the nodes are, so
 * it is known before they have said their addresses.
 */
export function pointsInOrder(
  variant: LoadedVariant,
  nodes: readonly string[],
  runtimeAt: (addresses: ReadonlyMap<string, string>) => JobContext,
): { ordinal: number; name: string }[] {
  const anywhere = new Map(nodes.map((node, index) => [node, `0.0.${index >> 8}.${index & 255}`]));
  const { points, order } = planVariant(variant, runtimeAt(anywhere));
  const names = new Map(points.map(({ ordinal, name }) => [ordinal, name]));
  return order.map((ordinal) => ({ ordinal, name: names.get(ordinal) ?? '' }));
}
