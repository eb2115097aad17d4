import { benchmarkFor } from '../../benchmarks/index.ts';
import type { Finding } from '../../model/checks.ts';
import { restartIn } from '../../model/worker-restart.ts';
import type { Recipe } from '../schema/schema.ts';

/** Why the kills of an experiment cannot be done. */
export function experimentProblems(recipe: Recipe): Finding[] {
  const { experiment, benchmark, resources, supervision } = recipe;
  const kills = experiment?.kill ?? [];
  if (kills.length === 0) return [];
  const path = ['experiment', 'kill'];
  if (!benchmarkFor(benchmark.type)?.measures)
    return [{ path, text: `needs a benchmark that measures requests, and ${benchmark.type} does not` }];
  return kills.flatMap(({ role, index }, at): Finding[] => {
    const count = resources[`${role}_workers`] ?? 0;
    const which = `entry ${at + 1} kills ${role} worker ${index}`;
    if (index >= count)
      return [{ path, text: `${which}, and the recipe has ${count} ${role} workers (counted from 0)` }];
    if (supervision.critical[role] && restartIn(recipe, role) === null)
      return [
        {
          path,
          text: `${which}, whose end fails the point`,
          hint: `set supervision.critical.${role}: false, or roles.${role}.restart`,
        },
      ];
    return [];
  });
}
