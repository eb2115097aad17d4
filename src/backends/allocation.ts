import { PlanError } from '../errors.ts';
import type { Endpoint, EndpointMode, EndpointProcess } from '../plan/kinds.ts';
import type { Recipe, Resources } from '../recipe/schema.ts';
import { PortAllocator } from './ports.ts';

/** How many workers of a mode there are, on how many nodes, with how many GPUs each. */
export interface ModeShape {
  readonly mode: EndpointMode;
  readonly nodes: number;
  readonly workers: number;
  readonly gpus: number;
  /** Nodes of one worker, each with the same number of its GPUs. */
  readonly nodesEach: number;
  /** true: they have no nodes of their own and take what the mode before them left. */
  readonly shares: boolean;
}

/** Nodes that the workers of a recipe need. */
export const workerNodesNeeded = (recipe: Recipe): number =>
  shapesOf(recipe).reduce((sum, shape) => sum + shape.nodes, 0);

/**
 * The modes of a recipe in the order in which they are placed.
 * @throws PlanError when `resources` names no workers, both kinds of deployment, or workers that cannot fit
 */
export function shapesOf({ resources }: Recipe): ModeShape[] {
  const disaggregated = resources.prefill_workers != null || resources.decode_workers != null;
  const aggregated = resources.agg_workers != null;
  if (disaggregated && aggregated) {
    throw misfit('agg_workers', 'a recipe has either aggregated workers, or prefill and decode workers');
  }
  if (aggregated) return [shapeOf('agg', resources)];
  if (!disaggregated) {
    throw misfit(
      '',
      'names no workers',
      'give agg_workers, or prefill_workers and decode_workers, and their nodes',
    );
  }
  const prefill = shapeOf('prefill', resources);
  return [prefill, shapeOf('decode', resources, prefill)];
}

function shapeOf(mode: EndpointMode, resources: Resources, before?: ModeShape): ModeShape {
  const perNode = resources.gpus_per_node;
  const workers = resources[`${mode}_workers`] ?? 0;
  const nodes = resources[`${mode}_nodes`] ?? 0;
  const given = resources[`gpus_per_${mode}`];
  if (workers < 1) throw misfit(`${mode}_workers`, 'must be at least 1');
  const shares = nodes === 0;
  if (shares && before === undefined) throw misfit(`${mode}_nodes`, 'must be at least 1');
  const gpus = given ?? (shares ? (before?.gpus ?? 0) : Math.floor((nodes * perNode) / workers));
  if (gpus < 1) {
    throw misfit(`${mode}_workers`, `${workers} ${mode} workers do not fit on ${nodes * perNode} GPUs`);
  }
  if (gpus > perNode && gpus % perNode !== 0) {
    const key = given == null ? `${mode}_workers` : `gpus_per_${mode}`;
    throw misfit(key, `a ${mode} worker of ${gpus} GPUs does not fill whole nodes of ${perNode}`);
  }
  const nodesEach = resources[`${mode}_nodes_per_worker`] ?? Math.max(1, gpus / perNode);
  if (gpus % nodesEach !== 0 || gpus / nodesEach > perNode) {
    const message = `a ${mode} worker of ${gpus} GPUs cannot be spread evenly over ${nodesEach} nodes of ${perNode}`;
    throw misfit(`${mode}_nodes_per_worker`, message);
  }
  return { mode, nodes, workers, gpus, nodesEach, shares };
}

/** A node to fill, and how many of its GPUs are taken. */
interface Slot {
  readonly node: string;
  used: number;
}

/**
 * Places workers on nodes in order, filling a node before the next. Unless they share, the workers of a mode begin on the first node that the mode before left free.
 * @throws PlanError when they do not fit
 */
export function allocate(recipe: Recipe, workerNodes: readonly string[]): Endpoint[] {
  const perNode = recipe.resources.gpus_per_node;
  const slots = workerNodes.map((node): Slot => ({ node, used: 0 }));
  const endpoints: Endpoint[] = [];
  let first = 0;
  for (const shape of shapesOf(recipe)) {
    const mine = shape.shares ? slots : slots.slice(first, first + shape.nodes);
    for (let index = 0; index < shape.workers; index++) endpoints.push(place(shape, index, mine, perNode));
    first = slots.findLastIndex((slot) => slot.used > 0) + 1;
  }
  return endpoints;
}

/** The first neighbouring nodes with the same room for the worker: its GPUs are the same ones on each. */
function place(shape: ModeShape, index: number, slots: readonly Slot[], perNode: number): Endpoint {
  const { mode, gpus, nodesEach } = shape;
  const gpusEach = gpus / nodesEach;
  const start = slots.findIndex(({ used }, at) => {
    const wanted = slots.slice(at, at + nodesEach);
    return (
      wanted.length === nodesEach && wanted.every((slot) => slot.used === used && used + gpusEach <= perNode)
    );
  });
  const taken = start < 0 ? [] : slots.slice(start, start + nodesEach);
  const [first] = taken;
  if (!first) throw doesNotFit(shape, slots.length, perNode);
  const from = first.used;
  for (const slot of taken) slot.used += gpusEach;
  return { mode, index, nodes: taken.map((slot) => slot.node), gpus: range(from, from + gpusEach) };
}

/** One process per node of each endpoint; the first of an endpoint is its leader. */
export function toProcesses(endpoints: readonly Endpoint[]): EndpointProcess[] {
  const ports = new PortAllocator();
  return endpoints.flatMap(({ mode, index, nodes, gpus }) => {
    const [leader] = nodes;
    const bootstrap = mode === 'prefill' && leader !== undefined ? ports.bootstrap(leader) : null;
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
  });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, k) => from + k);

function doesNotFit({ mode, workers, gpus, shares }: ModeShape, nodes: number, perNode: number): PlanError {
  const where = `${nodes} node${nodes === 1 ? '' : 's'} of ${perNode}${shares ? ', shared with the prefill workers' : ''}`;
  return misfit(`${mode}_workers`, `${workers} ${mode} workers of ${gpus} GPUs each do not fit on ${where}`);
}

function misfit(key: string, message: string, hint?: string): PlanError {
  const path = key === '' ? 'resources' : `resources.${key}`;
  return new PlanError('does-not-fit', message, {
    place: { file: '', path },
    ...(hint === undefined ? {} : { hint }),
  });
}
