import type { EndpointMode } from '../messages/spec/process-spec.ts';
import { restartOf } from '../recipe/schema/roles.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { failoverOf } from '../recipe/values/failover.ts';
import { recipeOf } from './recipe-of.ts';

/** Standby engines have no limit of their own. */
const NO_LIMIT = 10_000;

/**
 * Whether the workers of a mode start again after their end, and when: as their role says, else as `failover` does. null:
 * they do not.
 */
export function restartIn(recipe: Recipe, mode: EndpointMode): ReturnType<typeof restartOf> {
  const own = recipe.roles?.[mode]?.restart;
  if (own != null) return restartOf(own);
  const failover = failoverOf(recipeOf(recipe, mode).backend);
  if (failover?.restart !== 'always') return null;
  const seconds = failover.restart_backoff_seconds;
  const pause = { backoff_seconds: seconds, max_backoff_seconds: seconds };
  return { policy: 'always', max_restarts: NO_LIMIT, ...pause };
}
