import { tasksPerNode } from '../plan/tasks-per-node.ts';
import type { ClusterConfig } from '../recipe/cluster.ts';
import type { Recipe } from '../recipe/schema.ts';

/** The `#SBATCH` lines of a job, without `--output`, which is decided when the job is submitted. */
export function sbatchDirectives(recipe: Recipe, cluster: ClusterConfig, totalNodes: number): string[] {
  const { slurm } = recipe;
  const options: [string, string | number | null | undefined | false][] = [
    ['job-name', recipe.name],
    ['nodes', totalNodes],
    ['ntasks', totalNodes * tasksPerNode(recipe)],
    ['ntasks-per-node', tasksPerNode(recipe)],
    ['gpus-per-node', cluster.use_gpus_per_node_directive && recipe.resources.gpus_per_node],
    // All nodes in one NVLink domain or under one switch.
    ['segment', cluster.use_segment_sbatch_directive && totalNodes],
    ['exclusive', cluster.use_exclusive_sbatch_directive && ''],
    ['account', slurm.account ?? cluster.default_account],
    ['time', slurm.time_limit ?? cluster.default_time_limit],
    ['partition', slurm.partition ?? cluster.default_partition],
  ];
  const further = { ...cluster.default_sbatch_directives, ...recipe.sbatch_directives };
  return [...options, ...Object.entries(further)].flatMap(([name, value]) => {
    if (value === null || value === undefined || value === false) return [];
    return [value === '' ? `#SBATCH --${name}` : `#SBATCH --${name}=${value}`];
  });
}
