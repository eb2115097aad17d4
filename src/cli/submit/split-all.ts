import { benchmarkSchema } from '../../benchmarks/index.ts';
import { SrtctlError } from '../../os/errors.ts';
import { commitOf } from '../../os/processes/git-commit.ts';
import { allocationsOf, timeWarnings } from '../../plan/allocations.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import { pinSources } from '../../recipe/pin-sources.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';
import { placeIn } from '../../recipe/variant.ts';

/** The allocations of variants, as dry-run shows them; prints messages about them on stderr. */
export function splitAll(
  variants: readonly LoadedVariant[],
  cluster: ClusterConfig,
  asked: { readonly serveOnly?: boolean } = {},
): LoadedVariant[] {
  const say = (notice: string) => process.stderr.write(`srtctl: note: ${notice}\n`);
  return variants.flatMap((whole) => {
    const { variants: parts, notices } = allocationsOf(asked.serveOnly ? serveOnly(whole) : whole);
    for (const notice of notices) say(notice);
    for (const part of parts)
      for (const warning of timeWarnings(part, cluster.default_time_limit)) say(warning);
    return parts;
  });
}

/** Looks up what tags and refs of sources are now; simulated jobs fetch none. Prints each on stderr. */
export async function pinAll(
  variants: readonly LoadedVariant[],
  { mock }: { readonly mock?: boolean | undefined },
): Promise<readonly LoadedVariant[]> {
  if (mock) return variants;
  const pinned = await pinSources(variants, (repository, name) => commitOf(repository, name, process.env));
  for (const note of pinned.notes) process.stderr.write(`srtctl: note: ${note}\n`);
  for (const problem of pinned.problems) process.stderr.write(`srtctl: warning: ${problem}\n`);
  return pinned.variants;
}

/**
 * A variant whose deployment is up until it is stopped, with nothing measured.
 * @throws SrtctlError when it has several points, because each would be another deployment
 */
function serveOnly(variant: LoadedVariant): LoadedVariant {
  if (variant.points.length > 1)
    throw new SrtctlError(
      'serve-only-sweep',
      `--serve-only deploys one point, and the sweep has ${variant.points.length}`,
      { place: placeIn(variant, ['sweep']), hint: 'give each parameter of the sweep one value' },
    );
  const points = variant.points.map((point) => {
    const { client_placement, client_dedicated_node, colocate_with_frontend } = point.recipe.benchmark;
    // A node of the benchmark alone is part of the deployment.
    const benchmark = benchmarkSchema.parse({
      ...{ type: 'manual', client_placement, client_dedicated_node, colocate_with_frontend },
    });
    return { ...point, recipe: { ...point.recipe, benchmark } };
  });
  return { ...variant, points };
}
