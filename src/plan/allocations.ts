import type { LoadedVariant } from '../recipe/load.ts';
import { timeLimitMs, timeText } from '../recipe/values/time-limit.ts';
import { ordinalOf, placeIn } from '../recipe/variant.ts';
import { nodesOfPoint } from './plan.ts';

/** Points of more different sizes go to separate allocations, because most of a shared one would be idle. */
const MOST_TIMES_LARGER = 2;

/** The allocations of a variant, and messages for the user about the split. */
export interface Allocations {
  readonly variants: readonly LoadedVariant[];
  readonly notices: readonly string[];
}

type Point = LoadedVariant['points'][number];

/**
 * One allocation for all points of a variant; one for each with `sweep.allocation: per-point`; several when
 * the points differ much in size, or in a property that an allocation has once. Points keep their numbers in
 * the recipe. All code that plans or starts a variant calls this, so that the displayed plan is the real one.
 * @throws PlanError with the place in the recipe when a point cannot be planned
 */
export function allocationsOf(variant: LoadedVariant): Allocations {
  const points = variant.points.map((point, at): Point => ({ ...point, ordinal: ordinalOf(variant, at) }));
  if (points.length < 2) return { variants: [variant], notices: [] };
  if (variant.sweep.allocation === 'per-point')
    return {
      variants: points.map((point) => ({ ...variant, name: point.name, points: [point] })),
      notices: [],
    };
  const alike = [...groupBy(points, (point) => JSON.stringify(ofAllocation(point))).values()];
  const groups = alike.flatMap((each) =>
    bySize(each.map((point) => ({ point, nodes: nodesOfPoint(variant, point) }))),
  );
  if (groups.length === 1) return { variants: [variant], notices: [] };
  return {
    variants: groups.map(({ nodes, members }, at) => {
      const twins = groups.slice(0, at).filter((other) => other.nodes === nodes).length;
      const name = `${variant.name}_${nodes}n${twins > 0 ? `_${twins + 1}` : ''}`;
      return { ...variant, name, points: [...members] };
    }),
    notices: [noticeOf(variant, points, groups, alike.length > 1)],
  };
}

/** Properties that all points of an allocation share: the request to Slurm, the mounts and the setup. */
function ofAllocation({ recipe }: Point): Record<string, unknown> {
  const { model, slurm, resources, sbatch_directives, srun_options } = recipe;
  return {
    // In a container every model has the same path, where it can be mounted.
    'model.path': model.path.startsWith('hf:') ? null : model.path,
    'model.stage_dir': model.stage_dir,
    extra_mount: recipe.extra_mount,
    container_mounts: recipe.container_mounts,
    setup_script: recipe.setup_script,
    slurm,
    'resources.gpus_per_node': resources.gpus_per_node,
    sbatch_directives,
    srun_options,
  };
}

function noticeOf(
  variant: LoadedVariant,
  points: readonly Point[],
  groups: readonly Group[],
  isUnlike: boolean,
): string {
  const parts = groups.map(({ nodes, members }) => `${nodes} nodes for ${count(members.length, 'point')}`);
  const all = points.map(ofAllocation);
  const differ = Object.keys(all[0] ?? {}).filter(
    (key) => new Set(all.map((each) => JSON.stringify(each[key]))).size > 1,
  );
  const sizes = groups.flatMap(({ smallest, nodes }) => [smallest, nodes]);
  const reason = isUnlike
    ? `its points differ in ${differ.join(', ')}`
    : `its points need ${Math.min(...sizes)} to ${Math.max(...sizes)} nodes`;
  return `${titleOf(variant)}: ${reason}, so they run in ${groups.length} allocations: ${parts.join(', ')}`;
}

interface Group {
  /** For its largest point. */
  readonly nodes: number;
  readonly smallest: number;
  readonly members: readonly Point[];
}

/** As few groups as possible, the largest points first; each group keeps the recipe's order. */
function bySize(points: readonly { readonly point: Point; readonly nodes: number }[]): Group[] {
  const sizes = [...new Set(points.map(({ nodes }) => nodes))].sort((a, b) => b - a);
  const groups: Group[] = [];
  for (let first = sizes[0]; first !== undefined; ) {
    const nodes = first;
    const fits = (size: number) => size <= nodes && size * MOST_TIMES_LARGER >= nodes;
    const members = points.filter((each) => fits(each.nodes)).map(({ point }) => point);
    groups.push({ nodes, smallest: Math.min(...sizes.filter(fits)), members });
    first = sizes.find((size) => size * MOST_TIMES_LARGER < nodes);
  }
  return groups;
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const known = groups.get(key);
    if (known) known.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}

/**
 * Warns about points that do not fit into the allocation's time; points without a limit cannot be checked.
 */
export function timeWarnings(allocation: LoadedVariant, defaultLimit: string | null | undefined): string[] {
  const { sweep, points } = allocation;
  const limit = points[0]?.recipe.slurm.time_limit ?? defaultLimit;
  const [all, one] = [timeLimitMs(limit ?? ''), timeLimitMs(sweep.point_time_limit ?? '')];
  if (all === null || one === null || all === 0 || one * points.length <= all) return [];
  const { file, line, column } = placeIn(allocation, ['sweep', 'point_time_limit']);
  const at = [file, line, column].filter((part) => part !== undefined).join(':');
  const fitting = Math.floor(all / one);
  return [
    `${at}: ${allocation.name}: ${count(points.length, 'point')} of up to ${timeText(one)} each do not fit into the time limit of ${timeText(all)}, ${fitting === 0 ? 'not even one does' : `${fitting} of them surely do`}; a longer slurm.time_limit, or sweep.allocation: per-point`,
  ];
}

const titleOf = ({ file, variant }: LoadedVariant): string => (variant === '' ? file : `${file}:${variant}`);

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
