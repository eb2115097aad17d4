import { SrtctlError } from '../../os/errors.ts';
import { tasksPerNode } from '../../plan/engines.ts';
import { hetComponents } from '../../plan/het.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

type Option = [name: string, value: string | number | null | undefined | false];

/**
 * The `#SBATCH` lines of a job, without `--output`, which is set when the job is submitted. The components of a
 * heterogeneous job have a block each, with `#SBATCH hetjob` between them (sbatch(1), "Heterogeneous jobs").
 */
export function sbatchDirectives(recipe: Recipe, cluster: ClusterConfig, totalNodes: number): string[] {
  const components = componentsOf(recipe, totalNodes);
  return components.flatMap(({ nodes }, index) => [
    ...(index > 0 ? ['#SBATCH hetjob'] : []),
    ...component(recipe, cluster, nodes, index).flatMap(line),
  ]);
}

/** Spare nodes belong to the last component. */
function componentsOf(recipe: Recipe, totalNodes: number): { readonly nodes: number }[] {
  const het = hetComponents(recipe);
  if (!het) return [{ nodes: totalNodes }];
  const spare = recipe.resources.spare_nodes;
  return het.map(({ nodes }, index) => ({ nodes: index === het.length - 1 ? nodes + spare : nodes }));
}

/** Options of sbatch(1) that exclude one another. */
const ONE_OF: readonly (readonly string[])[] = [
  ['mem', 'mem-per-cpu', 'mem-per-gpu'],
  ['exclusive', 'oversubscribe', 's'],
  ['time', 't'],
  ['account', 'A'],
  ['partition', 'p'],
  ['qos', 'q'],
  ['constraint', 'C'],
  ['exclude', 'x'],
  ['nodelist', 'w'],
];

/** The further options of sbatch: the recipe's, and those of the cluster that the recipe does not replace. */
export function furtherDirectives(recipe: Recipe, cluster: ClusterConfig): Record<string, string> {
  const own = recipe.sbatch_directives;
  const told = (name: string): boolean =>
    own[name] === undefined &&
    ONE_OF.some((group) => group.includes(name) && group.some((each) => own[each] !== undefined));
  const ofCluster = Object.entries(cluster.default_sbatch_directives ?? {}).filter(([name]) => !told(name));
  return { ...Object.fromEntries(ofCluster), ...own };
}

/**
 * A job can request memory in one way only.
 * @throws SrtctlError when a recipe or srtslurm.yaml requests it in several ways
 */
export function refuseExclusive(variant: LoadedVariant, cluster: ClusterConfig): void {
  const recipe = variant.points[0]?.recipe;
  if (!recipe) return;
  const further = furtherDirectives(recipe, cluster);
  const asked = ['mem', 'mem-per-cpu', 'mem-per-gpu'].filter((name) => further[name] !== undefined);
  const [first, second] = asked;
  if (first === undefined || second === undefined) return;
  const isOwn = recipe.sbatch_directives[first] !== undefined;
  throw new SrtctlError('exclusive-directives', `${first} and ${second} exclude one another in sbatch`, {
    place: isOwn
      ? { file: variant.file, path: `sbatch_directives.${first}` }
      : { file: 'srtslurm.yaml', path: `default_sbatch_directives.${first}` },
    hint: 'leave one of them out',
  });
}

/** A component inherits no limit or partition from the first component. Only the first one has the job's name. */
function component(recipe: Recipe, cluster: ClusterConfig, nodes: number, index: number): Option[] {
  const { slurm } = recipe;
  const further = furtherDirectives(recipe, cluster);
  return [
    ['job-name', index === 0 && recipe.name],
    ['nodes', nodes],
    ['ntasks', nodes * tasksPerNode(recipe)],
    ['ntasks-per-node', tasksPerNode(recipe)],
    ['gpus-per-node', cluster.use_gpus_per_node_directive && recipe.resources.gpus_per_node],
    // Places all nodes in one NVLink domain or under one switch.
    ['segment', cluster.use_segment_sbatch_directive && nodes],
    ['exclusive', cluster.use_exclusive_sbatch_directive && ''],
    ['account', slurm.account ?? cluster.default_account],
    ['time', slurm.time_limit ?? cluster.default_time_limit],
    ['partition', slurm.partition ?? cluster.default_partition],
    ...Object.entries(further),
  ];
}

/** The time limit that sbatch uses: the later of two directives. */
export function timeLimitOf(recipe: Recipe, cluster: ClusterConfig): string | undefined {
  const further = furtherDirectives(recipe, cluster);
  const told = further.time ?? further.t ?? recipe.slurm.time_limit ?? cluster.default_time_limit;
  return told == null ? undefined : String(told);
}

/**
 * Refuses job arrays, because the tasks of an array would be jobs without a directory.
 * @throws SrtctlError when the recipe or the cluster requests an array
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
  if (value === '') return [`#SBATCH --${name}`];
  return [`#SBATCH --${name}=${directiveValue(String(value))}`];
}

/**
 * A value of a `#SBATCH` line as one word. sbatch ends a value at white space, begins a comment at `#`, and interprets
 * quotes and backslashes, the latter also between quotes (Slurm 22.05 to 25.11, src/sbatch/opt.c `_get_argument`).
 * @throws SrtctlError when the value contains a line break or another control character
 */
export function directiveValue(value: string): string {
  if (/\p{Cc}/u.test(value))
    throw new SrtctlError('bad-directive', `${JSON.stringify(value)} cannot be in a line of a batch script`, {
      hint: 'it has a line break or another control character in it: take a value (or a directory) without',
    });
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `"${value.replaceAll(/["\\]/g, '\\$&')}"`;
}
