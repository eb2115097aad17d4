import { PlanError } from '../errors.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { Roles } from './kinds.ts';

/** Nodes for infrastructure alone, beside those of the workers. */
export const extraNodes = (recipe: Recipe): number => (recipe.infra.etcd_nats_dedicated_node ? 1 : 0);

/**
 * Who does what: infrastructure on a node of its own if the recipe wants that, which is then the first; the head is
 * the first that works. Nodes beyond what the recipe needs stay idle.
 */
export function assignRoles(recipe: Recipe, nodes: readonly string[], workersNeeded: number): Roles {
  const extra = extraNodes(recipe);
  const workers = nodes.slice(extra, extra + workersNeeded);
  const [head] = workers;
  const infra = extra > 0 ? nodes[0] : head;
  if (head === undefined || infra === undefined || workers.length < workersNeeded) {
    const needed = extra + workersNeeded;
    throw new PlanError('too-few-nodes', `needs ${needed} nodes, and there are ${nodes.length}`, {
      place: { file: '', path: 'resources' },
    });
  }
  return { head, infra, bench: head, workers };
}
