import { frontendFor } from '../../frontends/index.ts';
import type { Way } from '../../model/checks.ts';
import { keptPlaceholders } from '../placeholder-problems.ts';
import type { ClusterConfig } from '../schema/cluster.ts';
import { type LoadedVariant, placeIn } from '../variant.ts';
import { notDoneOf, notDoneOfCluster } from './not-done.ts';
import { samePoints } from './same-points.ts';

/**
 * Warnings before the run begins, one line each: options that srtctl does not support yet, though the run is
 * valid without them, and requests that the recipe's router refuses.
 */
export function warningsOf(variant: LoadedVariant, way: Way, cluster?: ClusterConfig): string[] {
  const ofRecipes = variant.points.flatMap(({ recipe }) => [
    ...notDoneOf(recipe, way).map(({ path, text }) => ({ path: path.split('.'), text })),
    ...keptPlaceholders(recipe).map(({ path, name, meant }) => ({
      path,
      text: `{${name}} is left as it is; is {${meant}} meant?`,
    })),
    ...(way.mock ? [] : (frontendFor(recipe.frontend.type)?.refused?.(recipe) ?? [])),
  ]);
  const ofSweep = samePoints(variant).map(({ parameter, repeated }) => ({
    path: ['sweep', ...(parameter === null ? [] : [parameter])],
    text: `${parameter === null ? 'has a value twice' : `no setting depends on {${parameter}}`}, so ${repeated} of ${variant.points.length} points repeat another one`,
  }));
  const ofCluster = cluster ? notDoneOfCluster(cluster) : [];
  const lines = [
    ...[...ofRecipes, ...ofSweep].map(({ path, text }) => `${placeOf(variant, path)}: ${text}`),
    ...ofCluster.map(({ path, text }) => `srtslurm.yaml: ${path}: ${text}`),
  ];
  return [...new Set(lines)];
}

function placeOf(variant: LoadedVariant, path: readonly string[]): string {
  const { file, line } = placeIn(variant, path);
  return `${file}${line === undefined ? '' : `:${line}`}: ${path.join('.')}`;
}
