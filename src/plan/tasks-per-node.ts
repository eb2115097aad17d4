import { backendFor } from '../backends/index.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

/**
 * Tasks per node: one agent, which starts every other process there. Only an engine with an MPI launch needs
 * a task for each GPU.
 */
export const tasksPerNode = ({ backend, resources }: Recipe): number =>
  backendFor(backend.type)?.launch === 'endpoint' ? resources.gpus_per_node : 1;
