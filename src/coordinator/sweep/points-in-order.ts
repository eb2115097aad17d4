import type { JobContext } from '../../model/kinds.ts';
import { inSlices } from '../../os/in-slices.ts';
import { cataloguing } from '../../plan/catalogue.ts';
import { planSweep } from '../../plan/plan.ts';
import { isAsWritten, runningOrder } from '../../plan/sweep-order.ts';
import type { LoadedVariant } from '../../recipe/load.ts';

/**
 * The points of a job in the order in which they run. The cheapest order does not depend on the nodes' addresses, so it is
 * known before the agents have joined.
 */
export async function pointsInOrder(
  variant: LoadedVariant,
  nodes: readonly string[],
  runtimeAt: (addresses: ReadonlyMap<string, string>) => JobContext,
): Promise<{ ordinal: number; name: string }[]> {
  const anywhere = new Map(nodes.map((node, index) => [node, `0.0.${index >> 8}.${index & 255}`]));
  const plan = planSweep(variant, runtimeAt(anywhere));
  const names = new Map(plan.ordinals.map((ordinal, at) => [ordinal, variant.points[at]?.name ?? '']));
  const order = isAsWritten(variant.sweep.order, plan.ordinals.length)
    ? plan.ordinals
    : runningOrder(await inSlices(cataloguing(plan)), variant.sweep.order);
  return order.map((ordinal) => ({ ordinal, name: names.get(ordinal) ?? '' }));
}
