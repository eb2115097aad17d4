import { backendFor } from '../backends/index.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

/**
 * Tasks that a job asks for on each node: one agent, which starts whatever else runs there. Only an engine that MPI
 * launches needs room for a task on each GPU.
 */
export const tasksPerNode = ({ backend, resources }: Recipe): number =>
  backendFor(backend.type)?.launch === 'endpoint' ? resources.gpus_per_node : 1;
