import { basename } from 'node:path';
import { SrtctlError } from '../errors.ts';
import type { ProcessSpec } from '../messages/process-spec.ts';
import { allocationsOf, timeWarnings } from '../plan/allocations.ts';
import type { PlannedPoint, PointChange } from '../plan/kinds.ts';
import { nodesToAllocate, planVariant } from '../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../plan/runtime-context.ts';
import type { ClusterConfig } from '../recipe/cluster.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import { sbatchDirectives } from '../slurm/sbatch.ts';
import { launchPrefix } from './dry-run-launch.ts';

/** One line of `dry-run --json`. */
export type Allocation = ReturnType<typeof allocationOf>;
export type AllocationPoint = Allocation['points'][number];
export type AllocationProcess = AllocationPoint['processes'][number];

/** An allocation with the variant that it is of, which is the whole or a part of the recipe's. */
export interface Planned {
  readonly variant: LoadedVariant;
  readonly allocation: Allocation;
}

/** The allocations that apply would make of a variant, and what a person should know of them. */
export function planAllocations(
  whole: LoadedVariant,
  cluster: ClusterConfig,
): { readonly planned: readonly Planned[]; readonly notices: readonly string[] } | { error: SrtctlError } {
  try {
    const { variants, notices } = allocationsOf(whole);
    return {
      planned: variants.map((variant) => ({ variant, allocation: allocationOf(variant, cluster) })),
      notices: [...notices, ...variants.flatMap((each) => timeWarnings(each, cluster.default_time_limit))],
    };
  } catch (error) {
    if (error instanceof SrtctlError) return { error };
    throw error;
  }
}

/** Plans a variant on nodes that do not exist: node1, node2 and on. */
export function planAllocation(
  variant: LoadedVariant,
  cluster: ClusterConfig,
): Allocation | { error: SrtctlError } {
  try {
    return allocationOf(variant, cluster);
  } catch (error) {
    if (error instanceof SrtctlError) return { error };
    throw error;
  }
}

function allocationOf(variant: LoadedVariant, cluster: ClusterConfig) {
  const totalNodes = nodesToAllocate(variant);
  const nodes = Array.from({ length: totalNodes }, (_, index) => `node${index + 1}`);
  const plan = planVariant(variant, createRuntimeContext(dryRunInput(nodes, cluster)));
  const [first] = plan.points;
  const points = new Map(plan.points.map((point) => [point.ordinal, point]));
  const launch = launchPrefix(variant, cluster, nodes);
  return {
    file: variant.file,
    variant: variant.variant,
    name: variant.name,
    totalNodes,
    gpusPerNode: plan.gpusPerNode,
    sbatch: first ? sbatchDirectives({ ...first.recipe, name: variant.name }, cluster, totalNodes) : [],
    order: plan.order,
    engineLoads: plan.changes.reduce((sum, { engineLoads }) => sum + engineLoads, 0),
    /** In the order in which they run. */
    points: plan.changes.flatMap((change) => {
      const point = points.get(change.ordinal);
      return point ? [pointOf(point, change, launch)] : [];
    }),
  };
}

function pointOf(point: PlannedPoint, change: PointChange, launch: (spec: ProcessSpec) => string[]) {
  const { params, name, recipe, roles, endpoints, endpointProcesses, processes } = point;
  const ranks = new Map(endpointProcesses.map((rank) => [`${rank.mode}-${rank.index}-${rank.rank}`, rank]));
  return {
    ...change,
    params,
    name,
    backend: recipe.backend.type,
    frontend: recipe.frontend.type,
    benchmark: recipe.benchmark,
    roles,
    endpoints,
    processes: processes.flatMap((spec) => {
      const rank = ofRank(spec, ranks.get(spec.id));
      const own = { ...common(spec), ...rank, startedBy: null, launch: launch(spec) };
      return [
        own,
        ...startedBy(spec, endpointProcesses).map((rank) => ({ ...own, ...follower(spec, rank) })),
      ];
    }),
  };
}

function common(spec: ProcessSpec) {
  const { id, role, node, gpus, argv, env, image, logFile } = spec;
  return { id, role, node, gpus, argv, env, image, log: basename(logFile) };
}

/** Workers have a mode, an index and a rank; what else runs has the number in its id. */
function ofRank(spec: ProcessSpec, rank: PlannedPoint['endpointProcesses'][number] | undefined) {
  if (rank) return { mode: rank.mode, index: rank.index, rank: rank.rank, ports: rank.ports };
  const index = Number(/-(\d+)$/.exec(spec.id)?.[1] ?? 0);
  return { mode: null, index, rank: 0, ports: spec.ports };
}

/** Ranks that the MPI launch of their leader starts: they are on nodes and GPUs, and no agent starts them. */
function startedBy(spec: ProcessSpec, all: PlannedPoint['endpointProcesses']) {
  if (!spec.mpi) return [];
  return all.filter(({ mode, index, rank }) => rank > 0 && spec.id === `${mode}-${index}-0`);
}

function follower(leader: ProcessSpec, rank: PlannedPoint['endpointProcesses'][number]) {
  const { mode, index, node, gpus } = rank;
  return {
    id: `${mode}-${index}-${rank.rank}`,
    node,
    argv: [],
    launch: [],
    env: {},
    gpus: [...gpus],
    startedBy: leader.id,
    ...ofRank(leader, rank),
  };
}
