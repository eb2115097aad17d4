import type { JobContext, Plan, PlannedPoint, SweepPlan } from '../model/kinds.ts';
import { PlanError, type SourcePlace } from '../os/errors.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { type LoadedVariant, numbersOf, ordinalOf, placeIn } from '../recipe/variant.ts';
import { poolNodes } from '../services/plan.ts';
import { catalogueOf, type Look } from './catalogue.ts';
import { deploymentKey, type PlannedDeployment, planDeployment, planPoint } from './deployment.ts';
import { workerNodesNeeded } from './engines.ts';
import { planHostSetup } from './host-setup.ts';
import { extraNodes } from './roles.ts';
import { changesOf, runningOrder } from './sweep-order.ts';

/** Deployments are cached for later points up to this many processes: some 10 MB. */
const MOST_KEPT = 5_000;

/** Nodes of a variant's allocation: as many as its largest point needs. */
export function nodesNeeded(variant: LoadedVariant): number {
  return Math.max(...variant.points.map((point) => nodesOfPoint(variant, point)));
}

/** Additional nodes, which replace lost ones. */
export const spareNodesOf = ({ points }: LoadedVariant): number =>
  Math.max(...points.map(({ recipe }) => recipe.resources.spare_nodes));

/** All nodes that a variant's allocation has. */
export const nodesToAllocate = (variant: LoadedVariant): number =>
  nodesNeeded(variant) + spareNodesOf(variant);

/**
 * All processes of a variant on the nodes of `runtime`, planned point by point. Pure: the same input gives
 * the same plan. Points with the same deployment share its specs while it is cached.
 */
export function planSweep(variant: LoadedVariant, runtime: JobContext): SweepPlan {
  const { points } = variant;
  const [first] = points;
  if (!first) throw new TypeError('a variant without points');
  const numbers = numbersOf(variant);
  const ordinals = points.map((_, at) => ordinalOf(variant, at));
  const places = new Map(ordinals.map((ordinal, at) => [ordinal, at]));
  const { groups, groupAt } = groupsOf(variant);
  const kept = new RecentDeployments();
  const sweep: SweepPlan = {
    name: variant.name,
    totalNodes: nodesNeeded(variant),
    gpusPerNode: first.recipe.resources.gpus_per_node,
    ordinals,
    groups: groups.map((members) => members.map((at) => ordinalOf(variant, at))),
    point: (ordinal) => {
      const at = places.get(ordinal) ?? -1;
      const point = points[at];
      if (!point) return undefined;
      return located(variant, () => {
        const pointDir = runtime.pointDir(ordinal, point.name, numbers);
        const plan = () =>
          planDeployment(point.recipe, runtime, {
            name: variant.name,
            isLinked: points.length > 1,
            placeOf: (path) => placeText(placeIn(variant, path)),
          });
        return planPoint(point, { ordinal, pointDir }, kept.of(groupAt[at] ?? -1, plan));
      });
    },
    hostSetup: () =>
      planHostSetup(variant, runtime, { sweep, needed: sweep.totalNodes, spare: spareNodesOf(variant) }),
  };
  return sweep;
}

/** All points, grouped by deployment, so that each deployment is planned once. */
export function* eachPoint({ groups, point }: Pick<SweepPlan, 'groups' | 'point'>): Generator<PlannedPoint> {
  for (const ordinal of groups.flat()) {
    const planned = point(ordinal);
    if (planned) yield planned;
  }
}

/** @throws PlanError with the place in the recipe when a point cannot be planned */
export function requirePlannable(variant: LoadedVariant, runtime: JobContext, look?: Look): void {
  for (const point of eachPoint(planSweep(variant, runtime))) look?.(point);
}

/**
 * All points of a variant at once; not for sweeps of thousands.
 * @throws PlanError with the place in the recipe when it cannot be planned
 */
export function planVariant(variant: LoadedVariant, runtime: JobContext): Plan {
  const sweep = planSweep(variant, runtime);
  const { name, totalNodes, gpusPerNode, ordinals } = sweep;
  const points = ordinals.flatMap((ordinal) => sweep.point(ordinal) ?? []);
  // Computed on demand, because not every caller needs it.
  const inOrder = once(() => {
    const catalogue = catalogueOf(sweep);
    const order = runningOrder(catalogue, variant.sweep.order);
    return { order, changes: changesOf(catalogue, order) };
  });
  return {
    ...{ name, totalNodes, gpusPerNode, points },
    get order() {
      return inOrder().order;
    },
    get changes() {
      return inOrder().changes;
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Indices of points with the same deployment, in order; and the group number for each point's index. */
function groupsOf({ points }: LoadedVariant): { groups: number[][]; groupAt: number[] } {
  const groups: number[][] = [];
  const numbers = new Map<string, number>();
  const groupAt = points.map(({ recipe }, at) => {
    const key = deploymentKey(recipe);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    groups[number] ??= [];
    groups[number].push(at);
    return number;
  });
  return { groups, groupAt };
}

/**
 * Deployments by the number of their group. The least recently used ones are dropped and planned again on
 * demand.
 */
class RecentDeployments {
  readonly #kept = new Map<number, PlannedDeployment>();
  #processes = 0;

  of(group: number, plan: () => PlannedDeployment): PlannedDeployment {
    const known = this.#kept.get(group);
    const deployment = known ?? plan();
    if (known) this.#kept.delete(group);
    else this.#processes += deployment.processes.length;
    this.#kept.set(group, deployment);
    for (const [oldest, { processes }] of this.#kept) {
      if (this.#processes <= MOST_KEPT || oldest === group) break;
      this.#kept.delete(oldest);
      this.#processes -= processes.length;
    }
    return deployment;
  }
}

const placeText = ({ file, line, path }: SourcePlace): string =>
  `${file}${line === undefined ? '' : `:${line}`}: ${path ?? ''}`;

/** Nodes that one point needs. */
export const nodesOfPoint = (variant: LoadedVariant, { recipe }: LoadedVariant['points'][number]): number =>
  located(variant, () => pointNodes(recipe));

const pointNodes = (recipe: Recipe): number =>
  extraNodes(recipe) + workerNodesNeeded(recipe) + poolNodes(recipe);

/** The planner knows the path in the recipe; the variant adds the file and line. */
function located<T>(variant: LoadedVariant, plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof PlanError) || !error.place?.path) throw error;
    const { code, message, hint } = error;
    const place = placeIn(variant, error.place.path.split('.'));
    throw new PlanError(code, message, { place, cause: error, ...(hint === undefined ? {} : { hint }) });
  }
}
