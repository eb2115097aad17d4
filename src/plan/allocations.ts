import type { LoadedVariant } from '../recipe/load.ts';
import { timeLimitMs, timeText } from '../recipe/time-limit.ts';
import { ordinalOf, placeIn } from '../recipe/variant.ts';
import { nodesOfPoint } from './plan.ts';

/** Nodes that more than half of the points' time would stand idle are an allocation of their own. */
const MOST_TIMES_LARGER = 2;

/** The allocations of a variant, and what a person should know about how it came to them. */
export interface Allocations {
  readonly variants: readonly LoadedVariant[];
  readonly notices: readonly string[];
}

type Point = LoadedVariant['points'][number];

/**
 * One allocation for all points of a variant; one for each with `sweep.allocation: per-point`; several when the points
 * differ much in size. Points keep the numbers that they have in the recipe. Whoever plans or starts a variant goes
 * through here, so what is shown is what happens.
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
  const groups = bySize(points.map((point) => ({ point, nodes: nodesOfPoint(variant, point) })));
  if (groups.length === 1) return { variants: [variant], notices: [] };
  const parts = groups.map(({ nodes, members }) => `${nodes} nodes for ${count(members.length, 'point')}`);
  const smallest = Math.min(...groups.flatMap(({ smallest: least }) => least));
  return {
    variants: groups.map(({ nodes, members }) => ({
      ...variant,
      name: `${variant.name}_${nodes}n`,
      points: [...members],
    })),
    notices: [
      `${titleOf(variant)}: its points need ${smallest} to ${groups[0]?.nodes} nodes, so they run in ${groups.length} allocations: ${parts.join(', ')}`,
    ],
  };
}

interface Group {
  /** Of its largest point. */
  readonly nodes: number;
  readonly smallest: number;
  readonly members: Point[];
}

/** As few groups as there can be, the largest points first; in each the points as they are written. */
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

/** What does not fit into the time of an allocation; with points that have no limit nobody can say. */
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
