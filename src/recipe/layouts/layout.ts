import { isPlain, type Plain } from '../values/merge.ts';

/**
 * `first`: resources, backend and infra say everything (srt-slurm before 2.0). `second`: `schema: 2` with engine, roles
 * and services. `resolved`: the canonical recipe, as srtctl keeps it with a point.
 */
export type Layout = 'first' | 'second' | 'resolved';

/** `schema` of a canonical recipe. */
const RESOLVED = 'resolved';

/** Keys of a role that only the second layout has; the others may stand beside the sections of the first one. */
const OF_ROLES = ['nodes', 'workers', 'gpus', 'env', 'args'];

/**
 * The layout of one recipe. Some recipes have `schema: 2` over the sections of the first layout (examples of srt-slurm
 * from between the two), and some files of the second layout have no `schema`.
 */
export function layoutOf({ schema, engine, roles, backend }: Plain): Layout {
  if (schema === RESOLVED) return 'resolved';
  if (schema === 1) return 'first';
  const hasWorkers =
    isPlain(roles) &&
    Object.values(roles).some((role) => isPlain(role) && OF_ROLES.some((key) => key in role));
  if (engine !== undefined || hasWorkers) return 'second';
  return schema !== undefined && !isPlain(backend) ? 'second' : 'first';
}

/** A canonical recipe as a file that srtctl reads again as it is. */
export const asResolved = <Recipe extends object>(recipe: Recipe): { readonly schema: string } & Recipe => ({
  schema: RESOLVED,
  ...recipe,
});
