import { PlanError } from '../os/errors.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import { timeLimitMs, timeText } from '../recipe/values/time-limit.ts';
import { ordinalOf, placeIn } from '../recipe/variant.ts';
import { endpointsOf, processesOf, workerNodesNeeded } from './engines.ts';
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
export function allocationsOf(whole: LoadedVariant): Allocations {
  const variant = withoutMisfits(whole);
  const { variants, notices } = split(variant);
  if (variant === whole) return { variants, notices };
  return { variants, notices: [`${titleOf(variant)}: ${leftOutLine(variant)}`, ...notices] };
}

function split(variant: LoadedVariant): Allocations {
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
    host_setup: recipe.host_setup ?? null,
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

type Misfit = NonNullable<LoadedVariant['leftOut']>[number];

/** Points of one error line; more are a number. */
const MOST_POINTS = 40;

/**
 * The points of a sweep whose workers fit; a variant with a single point is planned as it is. Points that do not
 * fit are an error that names all of them, or are left out where `sweep.skip_misfits` says so.
 * @throws PlanError with every combination that does not fit, or when none fits
 */
function withoutMisfits(variant: LoadedVariant): LoadedVariant {
  const { points, sweep } = variant;
  if (points.length < 2) return variant;
  const reasons = reasonsOf(points);
  const misfits = points.flatMap((point, at): Misfit[] => {
    const reason = reasons[at]?.text;
    return reason === undefined ? [] : [{ ordinal: ordinalOf(variant, at), params: point.params, reason }];
  });
  if (misfits.length === 0) return variant;
  if (!sweep.skip_misfits || misfits.length === points.length) throw problemOf(variant, misfits, reasons);
  const left = points
    .map((point, at): Point => ({ ...point, ordinal: ordinalOf(variant, at) }))
    .filter((_, at) => reasons[at] === undefined);
  return { ...variant, points: left, leftOut: misfits };
}

/** One line about the points that were left out. */
export function leftOutLine({ leftOut = [], points }: Pick<LoadedVariant, 'leftOut' | 'points'>): string {
  const all = leftOut.length + points.length;
  return `${leftOut.length} of ${all} points are left out because they do not fit: ${listOf(leftOut)}`;
}

interface Reason {
  readonly text: string;
  readonly path: string | undefined;
}

/** Why each point does not fit; undefined for one that does. Points with the same workers are looked at once. */
function reasonsOf(points: readonly Point[]): (Reason | undefined)[] {
  const known = new Map<string, Reason | undefined>();
  return points.map(({ recipe }) => {
    const key = JSON.stringify([recipe.resources, recipe.backend, recipe.roles]);
    if (!known.has(key)) known.set(key, reasonOf(recipe));
    return known.get(key);
  });
}

function reasonOf(recipe: Point['recipe']): Reason | undefined {
  try {
    const names = Array.from({ length: workerNodesNeeded(recipe) }, (_, index) => `node${index + 1}`);
    processesOf(recipe, endpointsOf(recipe, names));
    return undefined;
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    return { text: error.message, path: error.place?.path };
  }
}

function problemOf(
  variant: LoadedVariant,
  misfits: readonly Misfit[],
  reasons: readonly (Reason | undefined)[],
): PlanError {
  const { points } = variant;
  const paths = new Set(reasons.flatMap((reason) => reason?.path ?? []));
  const [path] = paths.size === 1 ? paths : ['sweep'];
  const all = misfits.length === points.length;
  const place = placeIn(variant, (path ?? 'sweep').split('.'));
  const some = `${misfits.length} of ${points.length} points do not fit`;
  return new PlanError('does-not-fit', `${all ? 'no point of the sweep fits' : some}: ${listOf(misfits)}`, {
    place,
    ...(all ? {} : { hint: 'sweep.skip_misfits: true leaves them out' }),
  });
}

/** Points by their reason: `tp=8 nodes=1, tp=16 nodes=1: reason; …`. */
function listOf(misfits: readonly Misfit[]): string {
  const byReason = new Map<string, string[]>();
  for (const { params, reason, ordinal } of misfits.slice(0, MOST_POINTS)) {
    const name = params === null ? `point ${ordinal}` : paramsText(params);
    byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
  }
  const more = misfits.length - MOST_POINTS;
  const groups = [...byReason].map(([reason, names]) => `${names.join(', ')}: ${reason}`);
  return `${groups.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

const paramsText = (params: Readonly<Record<string, unknown>>): string =>
  Object.entries(params)
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(' ');
