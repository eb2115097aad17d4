import { SrtctlError } from '../errors.ts';
import { hetComponents } from '../plan/het.ts';
import { tasksPerNode } from '../plan/tasks-per-node.ts';
import type { ClusterConfig } from '../recipe/cluster.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import type { Recipe } from '../recipe/schema.ts';

type Option = [name: string, value: string | number | null | undefined | false];

/**
 * The `#SBATCH` lines of a job, without `--output`, which is decided when the job is submitted. The components of a
 * heterogeneous job have a block each, with `#SBATCH hetjob` between them (sbatch(1), "Heterogeneous jobs").
 */
export function sbatchDirectives(recipe: Recipe, cluster: ClusterConfig, totalNodes: number): string[] {
  const components = componentsOf(recipe, totalNodes);
  return components.flatMap(({ nodes }, index) => [
    ...(index > 0 ? ['#SBATCH hetjob'] : []),
    ...component(recipe, cluster, nodes, index).flatMap(line),
  ]);
}

/** Spare nodes are of the last component. */
function componentsOf(recipe: Recipe, totalNodes: number): { readonly nodes: number }[] {
  const het = hetComponents(recipe);
  if (!het) return [{ nodes: totalNodes }];
  const spare = recipe.resources.spare_nodes;
  return het.map(({ nodes }, index) => ({ nodes: index === het.length - 1 ? nodes + spare : nodes }));
}

/** A component inherits no limit or partition from the first one; the job's name is said once. */
function component(recipe: Recipe, cluster: ClusterConfig, nodes: number, index: number): Option[] {
  const { slurm } = recipe;
  const further = { ...cluster.default_sbatch_directives, ...recipe.sbatch_directives };
  return [
    ['job-name', index === 0 && recipe.name],
    ['nodes', nodes],
    ['ntasks', nodes * tasksPerNode(recipe)],
    ['ntasks-per-node', tasksPerNode(recipe)],
    ['gpus-per-node', cluster.use_gpus_per_node_directive && recipe.resources.gpus_per_node],
    // All nodes in one NVLink domain or under one switch.
    ['segment', cluster.use_segment_sbatch_directive && nodes],
    ['exclusive', cluster.use_exclusive_sbatch_directive && ''],
    ['account', slurm.account ?? cluster.default_account],
    ['time', slurm.time_limit ?? cluster.default_time_limit],
    ['partition', slurm.partition ?? cluster.default_partition],
    ...Object.entries(further),
  ];
}

/** The time limit that sbatch gets: of two directives the later one holds. */
export function timeLimitOf(recipe: Recipe, cluster: ClusterConfig): string | undefined {
  const further = { ...cluster.default_sbatch_directives, ...recipe.sbatch_directives };
  const told = further.time ?? further.t ?? recipe.slurm.time_limit ?? cluster.default_time_limit;
  return told == null ? undefined : String(told);
}

/**
 * Tasks of an array would be jobs without a directory.
 * @throws SrtctlError when the recipe or the cluster asks for an array
 */
export function refuseArrays(variant: LoadedVariant, cluster: ClusterConfig): void {
  const further = { ...cluster.default_sbatch_directives, ...variant.points[0]?.recipe.sbatch_directives };
  if (further.array === undefined && further.a === undefined) return;
  throw new SrtctlError('no-arrays', 'a job array runs the same recipe again and again', {
    place: { file: variant.file, path: 'sbatch_directives.array' },
    hint: 'leave it out: each variant is a job of its own, and `sweep` runs several points in one',
  });
}

function line([name, value]: Option): string[] {
  if (value === null || value === undefined || value === false) return [];
  return [value === '' ? `#SBATCH --${name}` : `#SBATCH --${name}=${value}`];
}
