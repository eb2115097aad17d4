import { PlanError } from '../os/errors.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { extraNodes, hasInfraNode } from './roles.ts';

/** One component of a heterogeneous Slurm job: nodes within one segment. */
export interface HetComponent {
  readonly name: 'prefill' | 'decode';
  readonly nodes: number;
}

/**
 * The components of a recipe's job, with infrastructure on the prefill side; null for a homogeneous job.
 * @throws PlanError when the recipe asks for impossible components
 */
export function hetComponents(recipe: Recipe): [HetComponent, HetComponent] | null {
  const { het_jobs: het, prefill_nodes: prefill, decode_nodes: decode } = recipe.resources;
  if (!het) return null;
  if (!prefill || !decode) {
    throw misfit('needs prefill_nodes and decode_nodes of at least 1, because they are its two components');
  }
  const extra = extraNodes(recipe);
  if (extra > (hasInfraNode(recipe) ? 1 : 0)) {
    throw misfit('cannot give the router or the benchmark a node of its own');
  }
  return [
    { name: 'prefill', nodes: prefill + extra },
    { name: 'decode', nodes: decode },
  ];
}

const misfit = (message: string): PlanError =>
  new PlanError('het-job', `a heterogeneous job ${message}`, {
    place: { file: '', path: 'resources.het_jobs' },
  });
