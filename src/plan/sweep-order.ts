import type { ProcessSpec } from '../messages/process-spec.ts';
import { identityOf } from '../messages/same-process.ts';
import type { SweepSettings } from '../recipe/sweep-settings.ts';
import type { PlannedPoint, PointChange } from './kinds.ts';
import { endpointOf, isWorker } from './links.ts';

/**
 * What a start costs, for comparing orders: an engine that loads a model keeps each of its GPUs from work for minutes
 * (five is what a model of some hundred GB takes), anything else takes seconds.
 */
const ENGINE_S = 300;
const OTHER_S = 5;
const STOP_S = 1;

/** Up to this many different deployments the best order of all is found. */
const MOST_EXACT = 10;

/** Above this many different deployments every pair of them is too much to look at. */
const MOST_PAIRWISE = 600;

/** A deployment as numbers: for each process its name and what it is, and what starting it costs. */
interface Deployment {
  /** Number of the process's id → number of its identity. */
  readonly holds: ReadonlyMap<number, number>;
  readonly points: PlannedPoint[];
}

interface Catalogue {
  readonly deployments: readonly Deployment[];
  readonly of: ReadonlyMap<PlannedPoint, Deployment>;
  /** By number of identity: cost of a start. */
  readonly costs: readonly number[];
}

/**
 * Ordinals of the points in the order in which they run: such that starts cost least, and as they are written where
 * that makes no difference. Points with the same deployment follow each other; of the deployments the cheapest of a
 * few orders is taken, the recipe's own among them, so it never gets worse.
 */
export function runningOrder(points: readonly PlannedPoint[], order: SweepSettings['order']): number[] {
  const written = points.map(({ ordinal }) => ordinal);
  if (order === 'as-written' || points.length < 3) return written;
  const catalogue = catalogueOf(points);
  const { deployments } = catalogue;
  const asFound = deployments.map((_, index) => index);
  const candidates = [asFound];
  if (deployments.length <= MOST_EXACT) candidates.push(best(catalogue));
  else candidates.push(byCostliest(catalogue));
  if (deployments.length > MOST_EXACT && deployments.length <= MOST_PAIRWISE)
    candidates.push(nearestNext(catalogue));
  const inOrder = (indices: readonly number[]) =>
    indices.flatMap((index) => deployments[index]?.points ?? []);
  let cheapest = points;
  let least = costOf(
    points.map((point) => catalogue.of.get(point)),
    catalogue.costs,
  );
  for (const candidate of candidates) {
    const cost = costOf(
      candidate.map((index) => deployments[index]),
      catalogue.costs,
    );
    if (cost < least) [cheapest, least] = [inOrder(candidate), cost];
  }
  return cheapest.map(({ ordinal }) => ordinal);
}

/** What each point does to what runs already, for points in the order in which they run. */
export function changesOf(points: readonly PlannedPoint[]): PointChange[] {
  let before = new Map<string, string>();
  // Of a single point nothing is compared with anything.
  const what = points.length > 1 ? identityOf : ({ id }: ProcessSpec) => id;
  return points.map(({ ordinal, processes }) => {
    const lasting = processes.filter(isLasting);
    const now = new Map(lasting.map((spec) => [spec.id, what(spec)]));
    const ids = (wanted: (spec: ProcessSpec) => boolean) => lasting.filter(wanted).map(({ id }) => id);
    const isKept = ({ id }: ProcessSpec) => before.get(id) === now.get(id);
    const change: PointChange = {
      ordinal,
      keep: ids(isKept),
      restart: ids((spec) => before.has(spec.id) && !isKept(spec)),
      start: ids(({ id }) => !before.has(id)),
      stop: [...before.keys()].filter((id) => !now.has(id)),
      engineLoads: new Set(lasting.filter((spec) => isWorker(spec) && !isKept(spec)).map(endpointOf)).size,
    };
    before = now;
    return change;
  });
}

/** The benchmark is of its point alone. */
const isLasting = ({ role }: ProcessSpec): boolean => role !== 'benchmark';

function catalogueOf(points: readonly PlannedPoint[]): Catalogue {
  const [ids, identities] = [new Numbers(), new Numbers()];
  const costs: number[] = [];
  const deployments = new Map<string, Deployment>();
  const of = new Map<PlannedPoint, Deployment>();
  for (const point of points) {
    const holds = new Map<number, number>();
    for (const spec of point.processes.filter(isLasting)) {
      const identity = identities.of(identityOf(spec));
      costs[identity] ??= startCost(spec);
      holds.set(ids.of(spec.id), identity);
    }
    const key = [...holds.values()].sort((a, b) => a - b).join();
    const deployment = deployments.get(key) ?? { holds, points: [] };
    deployment.points.push(point);
    deployments.set(key, deployment);
    of.set(point, deployment);
  }
  return { deployments: [...deployments.values()], of, costs };
}

const startCost = (spec: ProcessSpec): number =>
  isWorker(spec) ? ENGINE_S * Math.max(spec.mpi?.tasks ?? spec.gpus.length, 1) : OTHER_S;

function costOf(sequence: readonly (Deployment | undefined)[], costs: readonly number[]): number {
  let sum = 0;
  let before: Deployment | undefined;
  for (const now of sequence) {
    if (now) sum += stepCost(before, now, costs);
    before = now;
  }
  return sum;
}

/** Of going from one deployment to another. */
function stepCost(before: Deployment | undefined, now: Deployment, costs: readonly number[]): number {
  if (before === now) return 0;
  let cost = 0;
  for (const [id, identity] of now.holds)
    if (before?.holds.get(id) !== identity) cost += costs[identity] ?? OTHER_S;
  if (before) for (const id of before.holds.keys()) if (!now.holds.has(id)) cost += STOP_S;
  return cost;
}

/** The cheapest of all orders, by way of the cheapest that goes through each set and ends at each of its members. */
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
        // Ways come in the order in which deployments are written, so of equal ones the first stays.
        if (sum < (longer.get(key)?.cost ?? Number.POSITIVE_INFINITY))
          longer.set(key, { cost: sum, order: [...order, to] });
      }
    }
    ways = longer;
  }
  return [...ways.values()].reduce((least, way) => (way.cost < least.cost ? way : least)).order;
}

/** The first deployment, then always the one that is cheapest to go to; of equal ones the one written first. */
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

/** Deployments that share their costliest process are neighbours, among them those that share the next costliest. */
function byCostliest({ deployments, costs }: Catalogue): number[] {
  const kinds = new Map<number, Set<number>>();
  const seen = new Map<number, number>();
  for (const [index, { holds }] of deployments.entries())
    for (const [id, identity] of holds) {
      kinds.set(id, (kinds.get(id) ?? new Set()).add(identity));
      if (!seen.has(identity)) seen.set(identity, index);
    }
  // In a grid, one process outside and another inside costs less than the other way round when its product is larger.
  const weight = (id: number): number => {
    const [first = -1, ...others] = kinds.get(id) ?? [];
    return others.length === 0 ? 0 : ((costs[first] ?? OTHER_S) * (others.length + 1)) / others.length;
  };
  const weights = new Map([...kinds.keys()].map((id) => [id, weight(id)]));
  const ids = [...kinds.keys()].sort((a, b) => (weights.get(b) ?? 0) - (weights.get(a) ?? 0) || a - b);
  const keys = deployments.map(({ holds }) => ids.map((id) => seen.get(holds.get(id) ?? -1) ?? -1));
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

/** Texts as small numbers: what is compared often is compared fast. */
class Numbers {
  readonly #known = new Map<string, number>();
  of(text: string): number {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    this.#known.set(text, this.#known.size);
    return this.#known.size - 1;
  }
}
