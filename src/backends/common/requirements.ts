import type { Endpoint } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import { type Flags, optionName } from '../../recipe/values/flags.ts';

/** @throws PlanError for a worker of several nodes, where the engine has none */
export function requireOneNode(worker: string, { mode, nodes }: Endpoint): void {
  if (nodes.length === 1) return;
  throw new PlanError('does-not-fit', `${worker} must fit on one node, and this one has ${nodes.length}`, {
    place: { file: '', path: `resources.gpus_per_${mode}` },
  });
}

/** @throws PlanError for an option that srtctl sets itself, and that the recipe must not set */
export function requireUnset(path: string, options: Flags, own: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!own.includes(optionName(name.replace(/^-+/, '')))) continue;
    throw new PlanError('own-option', 'is set by srtctl, and the recipe must not set it', {
      place: { file: '', path: `${path}.${name}` },
    });
  }
}
