import type { Endpoint, EndpointMode, EndpointProcess } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { Resources } from '../../recipe/schema/resources.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { gpusOfWorker } from '../../recipe/values/gpus-of-worker.ts';
import type { PortAllocator } from '../../recipe/values/ports.ts';

/** The workers of a mode: their number, and the nodes and GPUs of each. */
export interface ModeShape {
  readonly mode: EndpointMode;
  readonly workers: number;
  /** GPUs of one worker. */
  readonly gpus: number;
  /** Nodes of one worker, and its GPUs on each of them. */
  readonly nodesEach: number;
  readonly gpusEach: number;
}

export interface AllocationOptions {
  /** Decode workers continue on the last node of the prefill workers, not on the next one. */
  readonly colocate?: boolean;
}

/** Number of worker nodes in a recipe. */
export function workerNodesNeeded(recipe: Recipe): number {
  const { prefill_nodes: prefill, decode_nodes: decode, agg_nodes: agg } = recipe.resources;
  const shapes = shapesOf(recipe);
  const nodes = shapes.some(({ mode }) => mode === 'agg') ? (agg ?? 1) : (prefill ?? 0) + (decode ?? 0);
  if (nodes > 0) return nodes;
  const { mode } = shapes[0] ?? { mode: 'agg' };
  throw misfit(`${mode}_nodes`, 'must be at least 1');
}

/**
 * The modes of a recipe with workers, in placement order.
 * @throws PlanError when `resources` has no workers, both kinds of deployment, or impossible workers
 */
export function shapesOf({ resources }: Recipe): ModeShape[] {
  const count = (mode: EndpointMode) => resources[`${mode}_workers`] ?? 0;
  const disaggregated = count('prefill') + count('decode') > 0;
  if (disaggregated && count('agg') > 0) {
    throw misfit('agg_workers', 'a recipe has either aggregated workers, or prefill and decode workers');
  }
  if (!disaggregated && count('agg') === 0) {
    const hint = 'give agg_workers, or prefill_workers and decode_workers, and their nodes';
    throw misfit('', 'names no workers', hint);
  }
  return (['prefill', 'decode', 'agg'] as const)
    .filter((mode) => count(mode) > 0)
    .map((mode) => shapeOf(mode, resources));
}

function shapeOf(mode: EndpointMode, resources: Resources): ModeShape {
  const perNode = resources.gpus_per_node;
  const workers = resources[`${mode}_workers`] ?? 0;
  const gpus = gpusOfWorker(mode, resources);
  if (gpus < 1) {
    const there = (resources[`${mode}_nodes`] ?? 0) * perNode;
    throw misfit(`${mode}_workers`, `${workers} ${mode} workers do not fit on ${there} GPUs`);
  }
  const spread = resources[`${mode}_nodes_per_worker`];
  if (spread == null) {
    const nodesEach = Math.ceil(gpus / perNode);
    // A worker of several nodes uses all their GPUs.
    return { mode, workers, gpus, nodesEach, gpusEach: nodesEach > 1 ? perNode : gpus };
  }
  if (gpus % spread !== 0 || gpus / spread > perNode) {
    const message = `a ${mode} worker of ${gpus} GPUs cannot be spread evenly over ${spread} nodes of ${perNode}`;
    throw misfit(`${mode}_nodes_per_worker`, message);
  }
  return { mode, workers, gpus, nodesEach: spread, gpusEach: gpus / spread };
}

/** The workers of one mode that has some. */
export function shapeIn(recipe: Recipe, mode: EndpointMode): ModeShape {
  return shapeOf(mode, recipe.resources);
}

/** A worker of a mode, with its article. */
export const oneOf = (mode: EndpointMode): string =>
  mode === 'agg' ? 'an aggregated worker' : `a ${mode} worker`;

/** A node to fill, and its number of used GPUs. */
interface Slot {
  readonly node: string;
  used: number;
}

/**
 * Places workers on nodes in order, filling a node before the next (with `spread_workers`, a node for each). Decode
 * workers begin on a new node while there is one; otherwise they share the prefill workers' last node.
 * @throws PlanError when they do not fit
 */
export function allocate(
  recipe: Recipe,
  workerNodes: readonly string[],
  options: AllocationOptions = {},
): Endpoint[] {
  const { gpus_per_node: perNode, spread_workers: spread } = recipe.resources;
  const all = workerNodes.map((node): Slot => ({ node, used: 0 }));
  const endpoints: Endpoint[] = [];
  for (const shape of shapesOf(recipe)) {
    const slots = ownNodes(recipe, shape.mode, all);
    const from = firstNode(slots, perNode, options.colocate ?? false);
    for (let index = 0; index < shape.workers; index++) {
      const free = { slots, perNode };
      // Earlier nodes are used only when no later one fits.
      const start =
        (spread ? room(shape, { ...free, from, full: 0 }) : undefined) ??
        room(shape, { ...free, from, full: perNode }) ??
        room(shape, { ...free, from: 0, full: perNode });
      if (start === undefined) throw doesNotFit(shape, slots.length, perNode);
      endpoints.push(take(shape, index, slots.slice(start, start + shape.nodesEach)));
    }
  }
  return endpoints;
}

/** In a heterogeneous job each mode has the nodes of its component; otherwise both modes share all nodes. */
function ownNodes({ resources }: Recipe, mode: EndpointMode, all: readonly Slot[]): readonly Slot[] {
  const { het_jobs: het, prefill_nodes: prefill } = resources;
  if (!het) return all;
  return mode === 'prefill' ? all.slice(0, prefill ?? 0) : all.slice(prefill ?? 0);
}

/**
 * The first node of a mode: the one after the last used node, or that node itself when it has room and no
 * other is free.
 */
function firstNode(slots: readonly Slot[], perNode: number, colocate: boolean): number {
  const last = slots.findLastIndex(({ used }) => used > 0);
  const roomThere = last >= 0 && (slots[last]?.used ?? perNode) < perNode;
  return roomThere && (colocate || last + 1 >= slots.length) ? last : last + 1;
}

interface Search {
  readonly slots: readonly Slot[];
  readonly perNode: number;
  readonly from: number;
  /** GPUs of a node that may already be in use. */
  readonly full: number;
}

/**
 * The first neighbouring nodes with the same room for a worker, so that it uses the same GPU indices on each.
 */
function room(
  { nodesEach, gpusEach }: ModeShape,
  { slots, perNode, from, full }: Search,
): number | undefined {
  const start = slots.findIndex(({ used }, at) => {
    const wanted = slots.slice(at, at + nodesEach);
    const fits = (slot: Slot) => slot.used === used && used <= full && used + gpusEach <= perNode;
    return at >= from && wanted.length === nodesEach && wanted.every(fits);
  });
  return start < 0 ? undefined : start;
}

function take({ mode, gpusEach }: ModeShape, index: number, slots: readonly Slot[]): Endpoint {
  const from = slots[0]?.used ?? 0;
  for (const slot of slots) slot.used += gpusEach;
  return { mode, index, nodes: slots.map(({ node }) => node), gpus: range(from, from + gpusEach) };
}

/**
 * One process per node of each endpoint; the first of an endpoint is its leader. `workersEach`: workers in
 * one process, for Dynamo's mocker.
 */
export function toProcesses(
  endpoints: readonly Endpoint[],
  ports: PortAllocator,
  workersEach = 1,
): EndpointProcess[] {
  return endpoints.flatMap((endpoint) => processPerNode(endpoint, ports, workersEach));
}

/** The processes of one endpoint, one on each of its nodes; only the leader serves. */
export function processPerNode(
  { mode, index, nodes, gpus }: Endpoint,
  ports: PortAllocator,
  workersEach = 1,
): EndpointProcess[] {
  const [leader] = nodes;
  const bootstrap = mode === 'prefill' && leader !== undefined ? ports.bootstrap(leader, workersEach) : null;
  return nodes.map(
    (node, rank): EndpointProcess => ({
      mode,
      index,
      node,
      rank,
      gpus,
      ports: { http: rank === 0 ? ports.http(node) : 0, bootstrap, ...ports.ofProcess() },
    }),
  );
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, k) => from + k);

function doesNotFit({ mode, workers, gpus }: ModeShape, nodes: number, perNode: number): PlanError {
  const where = `${nodes} node${nodes === 1 ? '' : 's'} of ${perNode}`;
  const beside = mode === 'decode' ? ' beside the prefill workers' : '';
  const message = `${workers} ${mode} workers of ${gpus} GPUs each do not fit on ${where}${beside}`;
  return misfit(`${mode}_workers`, message);
}

function misfit(key: string, message: string, hint?: string): PlanError {
  const path = key === '' ? 'resources' : `resources.${key}`;
  return new PlanError('does-not-fit', message, {
    place: { file: '', path },
    ...(hint === undefined ? {} : { hint }),
  });
}
