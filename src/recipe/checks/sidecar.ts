import { backendFor } from '../../backends/index.ts';
import type { Finding } from '../../model/checks.ts';
import { modesOf, recipeOf } from '../../model/recipe-of.ts';
import type { Recipe } from '../schema/schema.ts';

/** Why engines cannot run beside Dynamo's sidecars, where the recipe asks for that. */
export function sidecarProblems(recipe: Recipe): Finding[] {
  if (recipe.dynamo.engine_mode !== 'sidecar') return [];
  const path = ['dynamo', 'engine_mode'];
  if (recipe.frontend.type !== 'dynamo')
    return [{ path, text: 'is sidecar, which registers engines with a dynamo frontend alone' }];
  return modesOf(recipe).flatMap((mode): Finding[] => {
    const engine = backendFor(recipeOf(recipe, mode).backend.type);
    if (engine?.sidecar === undefined)
      return [{ path, text: `is sidecar, and Dynamo has no sidecar for ${engine?.name}` }];
    return engine.sidecar === 'aggregated' && mode !== 'agg'
      ? [{ path, text: `is sidecar, and ${engine.name} has aggregated workers alone beside one` }]
      : [];
  });
}
