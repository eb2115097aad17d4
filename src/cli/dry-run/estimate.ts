import { timeLimitOf } from '../../platform/slurm/sbatch.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';
import { timeLimitMs, timeText } from '../../recipe/values/time-limit.ts';
import type { LoadedVariant } from '../../recipe/variant.ts';

const HOUR_MS = 3_600_000;

/** What a job may use and will likely use; null: not known. */
export interface Estimate {
  /** At most: all nodes for the whole time limit. */
  readonly nodeHours: number | null;
  readonly gpuHours: number | null;
  /** As an earlier job with the same points took. */
  readonly expected: { readonly nodeHours: number; readonly gpuHours: number; readonly job: string } | null;
}

/** The time limit of a job, ms; null when it has none. */
function limitOf(variant: LoadedVariant, cluster: ClusterConfig): number | null {
  const recipe = variant.points[0]?.recipe;
  const limit = recipe ? timeLimitMs(timeLimitOf(recipe, cluster) ?? '') : null;
  return limit === 0 ? null : limit;
}

/** `before`: an earlier job with the same points, and how long they took. */
export function estimateOf(
  variant: LoadedVariant,
  cluster: ClusterConfig,
  nodes: number,
  before?: { readonly job: string; readonly ms: number },
): Estimate {
  const gpus = nodes * (variant.points[0]?.recipe.resources.gpus_per_node ?? 0);
  const limit = limitOf(variant, cluster);
  const hours = (ms: number, each: number): number => Math.round((ms / HOUR_MS) * each * 100) / 100;
  return {
    nodeHours: limit === null ? null : hours(limit, nodes),
    gpuHours: limit === null ? null : hours(limit, gpus),
    expected: before
      ? { nodeHours: hours(before.ms, nodes), gpuHours: hours(before.ms, gpus), job: before.job }
      : null,
  };
}

/** An estimate in one line. */
export function estimateText(
  { nodeHours, gpuHours, expected }: Estimate,
  variant: LoadedVariant,
  cluster: ClusterConfig,
): string {
  const limit = limitOf(variant, cluster);
  const most =
    limit === null
      ? 'node-hours: no bound, because there is no time limit'
      : `at most ${nodeHours} node-hours, ${gpuHours} GPU-hours (time limit ${timeText(limit)})`;
  if (!expected) return `${most}; no earlier job has measured the same`;
  return `${most}; expected ${expected.nodeHours} node-hours, ${expected.gpuHours} GPU-hours, as the points of job ${expected.job} took`;
}

/** The fewest GPU-hours that the recipe or the cluster allows a job; null: any number. */
export function mostGpuHours(variant: LoadedVariant, cluster: ClusterConfig): number | null {
  const limits = [cluster.max_gpu_hours, ...variant.points.map(({ recipe }) => recipe.max_gpu_hours)];
  const set = limits.filter((limit) => limit != null);
  return set.length === 0 ? null : Math.min(...set);
}
