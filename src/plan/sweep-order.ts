import type { PointChange } from '../model/kinds.ts';
import type { SweepSettings } from '../recipe/values/sweep-settings.ts';
import { type Catalogue, type Deployment, kindOf, OTHER_S } from './catalogue.ts';

/** Up to this many different deployments the optimal order is computed. */
const MOST_EXACT = 10;

/** Above this many different deployments comparing all pairs takes too long. */
const MOST_PAIRWISE = 600;

/** Cost of stopping a process. */
const STOP_S = 1;

/**
 * Ordinals of the points in running order, with minimal start costs, and in the recipe's order where the
 * costs are equal. Points with the same deployment follow each other. The cheapest of a few orders wins, and
 * the recipe's own is one of them, so the result is never worse.
 */
export function runningOrder(catalogue: Catalogue, order: SweepSettings['order']): readonly number[] {
  const { deployments, costs, of, written } = catalogue;
  if (isAsWritten(order, written.length)) return written;
  const asFound = deployments.map((_, index) => index);
  const candidates = [asFound];
  if (deployments.length <= MOST_EXACT) candidates.push(best(catalogue));
  else candidates.push(byCostliest(catalogue));
  if (deployments.length > MOST_EXACT && deployments.length <= MOST_PAIRWISE)
    candidates.push(nearestNext(catalogue));
  const inOrder = (indices: readonly number[]) =>
    indices.flatMap((index) => deployments[index]?.ordinals ?? []);
  let cheapest = written;
  let least = costOf(
    written.map((ordinal) => of.get(ordinal)),
    costs,
  );
  for (const candidate of candidates) {
    const cost = costOf(
      candidate.map((index) => deployments[index]),
      costs,
    );
    if (cost < least) [cheapest, least] = [inOrder(candidate), cost];
  }
  return cheapest;
}

/** Whether points always run in the recipe's order. */
export const isAsWritten = (order: SweepSettings['order'], points: number): boolean =>
  order === 'as-written' || points < 3;

/** The changes of each point, for points in running order. */
export function changesOf(catalogue: Catalogue, order: readonly number[]): PointChange[] {
  let before: Deployment | undefined;
  const unchanged = new Map<Deployment, readonly string[]>();
  return order.flatMap((ordinal): PointChange[] => {
    const now = catalogue.of.get(ordinal);
    if (!now) return [];
    const all = unchanged.get(now) ?? namesOf(now.ids, catalogue);
    unchanged.set(now, all);
    const change =
      before === now
        ? { keep: all, restart: [], start: [], stop: [], engineLoads: 0 }
        : changeOf(before, now, catalogue);
    before = now;
    return [{ ordinal, ...change }];
  });
}

function changeOf(
  before: Deployment | undefined,
  now: Deployment,
  catalogue: Catalogue,
): Omit<PointChange, 'ordinal'> {
  const names = (wanted: (id: number) => boolean) => namesOf(now.ids.filter(wanted), catalogue);
  const isThere = (id: number) => kindOf(before, id) !== undefined;
  const isKept = (id: number) => kindOf(before, id) === kindOf(now, id);
  return {
    keep: names(isKept),
    restart: names((id) => isThere(id) && !isKept(id)),
    start: names((id) => !isThere(id)),
    stop: before
      ? namesOf(
          before.ids.filter((id) => kindOf(now, id) === undefined),
          catalogue,
        )
      : [],
    engineLoads: endpointsOf(
      now.ids.filter((id) => !isKept(id)),
      now,
      catalogue,
    ),
  };
}

const namesOf = (numbers: Int32Array, { ids }: Catalogue): string[] =>
  Array.from(numbers, (id) => ids[id] ?? '');

/** Number of workers among some processes of a deployment. */
function endpointsOf(numbers: Int32Array, { kinds }: Deployment, { endpoints }: Catalogue): number {
  const found = new Set(Array.from(numbers, (id) => endpoints[kinds[id] ?? -1]));
  found.delete(null);
  return found.size;
}

/** Number of model loads when every point starts from nothing. */
export const loadsAlone = (catalogue: Catalogue): number =>
  catalogue.deployments.reduce(
    (sum, each) => sum + each.ordinals.length * endpointsOf(each.ids, each, catalogue),
    0,
  );

function costOf(sequence: readonly (Deployment | undefined)[], costs: readonly number[]): number {
  let sum = 0;
  let before: Deployment | undefined;
  for (const now of sequence) {
    if (now) sum += stepCost(before, now, costs);
    before = now;
  }
  return sum;
}

/** The cost of a change from one deployment to another. */
function stepCost(before: Deployment | undefined, now: Deployment, costs: readonly number[]): number {
  if (before === now) return 0;
  let cost = 0;
  for (const id of now.ids) {
    const kind = now.kinds[id] ?? -1;
    if (before?.kinds[id] !== kind) cost += costs[kind] ?? OTHER_S;
  }
  if (before) for (const id of before.ids) if (kindOf(now, id) === undefined) cost += STOP_S;
  return cost;
}

/** The cheapest order, found with the cheapest path through each set that ends at each of its members. */
function best({ deployments, costs }: Catalogue): number[] {
  const all = deployments.map((_, index) => index);
  const step = (from: number | undefined, to: number): number => {
    const next = deployments[to];
    return next ? stepCost(from === undefined ? undefined : deployments[from], next, costs) : 0;
  };
  const pairs = all.map((from) => all.map((to) => step(from, to)));
  let ways = new Map(
    all.map((index) => [`${1 << index}/${index}`, { cost: step(undefined, index), order: [index] }]),
  );
  for (let length = 1; length < all.length; length++) {
    const longer: typeof ways = new Map();
    for (const { cost, order } of ways.values()) {
      const last = order.at(-1) ?? 0;
      const set = order.reduce((bits, index) => bits | (1 << index), 0);
      for (const to of all) {
        if (set & (1 << to)) continue;
        const key = `${set | (1 << to)}/${to}`;
        const sum = cost + (pairs[last]?.[to] ?? 0);
        // Paths come in the recipe's order, so the first of equal ones stays.
        if (sum < (longer.get(key)?.cost ?? Number.POSITIVE_INFINITY))
          longer.set(key, { cost: sum, order: [...order, to] });
      }
    }
    ways = longer;
  }
  return [...ways.values()].reduce((least, way) => (way.cost < least.cost ? way : least)).order;
}

/** The first deployment, then always the cheapest next one; of equal ones the first in the recipe. */
function nearestNext({ deployments, costs }: Catalogue): number[] {
  const left = deployments.map((_, index) => index);
  const order = left.splice(0, 1);
  while (left.length > 0) {
    const current = deployments[order.at(-1) ?? 0];
    let nearest = 0;
    let least = Number.POSITIVE_INFINITY;
    for (const [at, index] of left.entries()) {
      const next = deployments[index];
      const cost = next ? stepCost(current, next, costs) : 0;
      if (cost < least) [nearest, least] = [at, cost];
    }
    order.push(...left.splice(nearest, 1));
  }
  return order;
}

/**
 * Deployments with the same most expensive process are neighbours, and among them those with the same next
 * one.
 */
function byCostliest({ deployments, costs }: Catalogue): number[] {
  const variety = new Map<number, Set<number>>();
  const seen = new Map<number, number>();
  for (const [index, { ids, kinds }] of deployments.entries())
    for (const id of ids) {
      const kind = kinds[id] ?? -1;
      const known = variety.get(id);
      if (known) known.add(kind);
      else variety.set(id, new Set([kind]));
      if (!seen.has(kind)) seen.set(kind, index);
    }
  // In a grid, the process with the larger product belongs to the outer loop.
  const weight = (kinds: ReadonlySet<number>): number => {
    const [first = -1] = kinds;
    return kinds.size < 2 ? 0 : ((costs[first] ?? OTHER_S) * kinds.size) / (kinds.size - 1);
  };
  const weights = new Map([...variety].map(([id, kinds]) => [id, weight(kinds)]));
  const ids = [...variety.keys()].sort((a, b) => (weights.get(b) ?? 0) - (weights.get(a) ?? 0) || a - b);
  const keys = deployments.map((each) => ids.map((id) => seen.get(kindOf(each, id) ?? -1) ?? -1));
  return deployments
    .map((_, index) => index)
    .sort((a, b) => {
      for (const [at, key] of (keys[a] ?? []).entries()) {
        const difference = key - (keys[b]?.[at] ?? 0);
        if (difference !== 0) return difference;
      }
      return a - b;
    });
}
