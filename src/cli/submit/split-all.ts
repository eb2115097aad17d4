import { allocationsOf, timeWarnings } from '../../plan/allocations.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';

/** The allocations of variants, as dry-run shows them; prints messages about them on stderr. */
export function splitAll(variants: readonly LoadedVariant[], cluster: ClusterConfig): LoadedVariant[] {
  const say = (notice: string) => process.stderr.write(`srtctl: note: ${notice}\n`);
  return variants.flatMap((whole) => {
    const { variants: parts, notices } = allocationsOf(whole);
    for (const notice of notices) say(notice);
    for (const part of parts)
      for (const warning of timeWarnings(part, cluster.default_time_limit)) say(warning);
    return parts;
  });
}
