import { basename } from 'node:path';
import { SrtctlError } from '../errors.ts';
import type { ProcessSpec } from '../messages/process-spec.ts';
import type { PlannedPoint } from '../plan/kinds.ts';
import { nodesToAllocate, planVariant } from '../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../plan/runtime-context.ts';
import type { ClusterConfig } from '../recipe/cluster.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import { sbatchDirectives } from '../slurm/sbatch.ts';

/** One line of `dry-run --json`. */
export type Allocation = ReturnType<typeof allocationOf>;
export type AllocationPoint = Allocation['points'][number];
export type AllocationProcess = AllocationPoint['processes'][number];

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
  return {
    file: variant.file,
    variant: variant.variant,
    name: variant.name,
    totalNodes,
    gpusPerNode: plan.gpusPerNode,
    sbatch: first ? sbatchDirectives({ ...first.recipe, name: variant.name }, cluster, totalNodes) : [],
    points: plan.points.map(pointOf),
  };
}

function pointOf({ params, name, recipe, roles, endpoints, endpointProcesses, processes }: PlannedPoint) {
  const ranks = new Map(endpointProcesses.map((rank) => [`${rank.mode}-${rank.index}-${rank.rank}`, rank]));
  return {
    params,
    name,
    backend: recipe.backend.type,
    frontend: recipe.frontend.type,
    benchmark: recipe.benchmark,
    roles,
    endpoints,
    processes: processes.flatMap((spec) => {
      const own = { ...common(spec), ...ofRank(spec, ranks.get(spec.id)), startedBy: null };
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
    env: {},
    gpus: [...gpus],
    startedBy: leader.id,
    ...ofRank(leader, rank),
  };
}
