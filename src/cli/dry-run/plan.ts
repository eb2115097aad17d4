import { basename } from 'node:path';
import { Tables } from '../../engine-options/table.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { PlannedHostSetup, PlannedPoint, PointChange } from '../../model/kinds.ts';
import { recipesOf } from '../../model/recipe-of.ts';
import { workerId } from '../../model/worker-id.ts';
import { SrtctlError } from '../../os/errors.ts';
import { allocationsOf, timeWarnings } from '../../plan/allocations.ts';
import { catalogueOf } from '../../plan/catalogue.ts';
import { OptionWarnings } from '../../plan/options/option-warnings.ts';
import { nodesToAllocate, planSweep, requirePlannable } from '../../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../plan/runtime-context.ts';
import { changesOf, loadsAlone, runningOrder } from '../../plan/sweep-order.ts';
import { sbatchDirectives } from '../../platform/slurm/sbatch.ts';
import { warningsOf } from '../../recipe/checks/warnings.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';
import { ordinalOf } from '../../recipe/variant.ts';
import { estimateOf, estimateText } from './estimate.ts';
import { launchPrefix } from './launch.ts';

/** The part of an allocation before its points. */
type AllocationHead = ReturnType<typeof headOf>;
export type AllocationPoint = ReturnType<ReturnType<typeof pointMaker>>;
export type AllocationProcess = AllocationPoint['processes'][number];

/** One line of `dry-run --json`. */
export type Allocation = AllocationHead & { readonly points: readonly AllocationPoint[] };

/** An allocation, and the variant or the part of it that it runs. */
export interface Planned {
  readonly variant: LoadedVariant;
  readonly head: AllocationHead;
  /** The changes of each point in running order, with its name. */
  readonly changes: readonly (PointChange & { readonly name: string })[];
  /** What engines and routers would refuse of their command lines. */
  readonly options: Pick<OptionWarnings, 'lines' | 'unchecked'>;
  /** Value of `engineLoads` if each point were a job of its own. */
  readonly loadsAlone: number;
  /** The node-hours that it uses, in one line. */
  readonly hours: string;
  /**
   * The points in that order, each planned when it is read, because thousands of plans do not fit into
   * memory.
   */
  points(): Iterable<AllocationPoint>;
}

/** The allocations that apply would make of a variant, and messages for the user. */
export function planAllocations(
  whole: LoadedVariant,
  cluster: ClusterConfig,
):
  | {
      readonly planned: Iterable<Planned>;
      readonly notices: readonly string[];
      readonly warnings: readonly string[];
    }
  | { error: SrtctlError } {
  return orError(() => {
    const { variants, notices } = allocationsOf(whole);
    const [only, ...others] = variants;
    // Refuses the whole recipe when any of its points cannot be planned.
    if (others.length > 0)
      for (const each of variants) requirePlannable(each, contextOf(each, cluster).runtime);
    return {
      planned: only && others.length === 0 ? [planned(only, cluster)] : eachPlanned(variants, cluster),
      warnings: warningsOf(
        whole,
        {
          mock: false,
          containers: cluster.container_runtime !== 'none',
          runtime: cluster.container_runtime ?? 'pyxis',
        },
        cluster,
      ),
      notices: [...notices, ...variants.flatMap((each) => timeWarnings(each, cluster.default_time_limit))],
    };
  });
}

/** Plans a variant on placeholder nodes (node1, node2, …), all points at once. */
export const planAllocation = (
  variant: LoadedVariant,
  cluster: ClusterConfig,
): Allocation | { error: SrtctlError } =>
  orError(() => {
    const { head, points } = planned(variant, cluster);
    return { ...head, points: [...points()] };
  });

function orError<T>(plan: () => T): T | { error: SrtctlError } {
  try {
    return plan();
  } catch (error) {
    if (error instanceof SrtctlError) return { error };
    throw error;
  }
}

function* eachPlanned(variants: readonly LoadedVariant[], cluster: ClusterConfig): Generator<Planned> {
  for (const variant of variants) yield planned(variant, cluster);
}

function contextOf(variant: LoadedVariant, cluster: ClusterConfig) {
  const totalNodes = nodesToAllocate(variant);
  const nodes = Array.from({ length: totalNodes }, (_, index) => `node${index + 1}`);
  return { totalNodes, nodes, runtime: createRuntimeContext(dryRunInput(nodes, cluster)) };
}

const tables = new Tables();

function planned(variant: LoadedVariant, cluster: ClusterConfig): Planned {
  const { totalNodes, nodes, runtime } = contextOf(variant, cluster);
  const plan = planSweep(variant, runtime);
  const options = new OptionWarnings(variant, tables);
  const catalogue = catalogueOf(plan, options.look);
  const order = runningOrder(catalogue, variant.sweep.order);
  const changes = changesOf(catalogue, order);
  const names = new Map(variant.points.map(({ name }, at) => [ordinalOf(variant, at), name]));
  const pointOf = pointMaker(launchPrefix(variant, cluster, nodes));
  return {
    variant,
    head: headOf(variant, cluster, {
      ...{ totalNodes, gpusPerNode: plan.gpusPerNode, order, changes },
      hostSetup: plan.hostSetup(),
    }),
    changes: changes.map((change) => ({ ...change, name: names.get(change.ordinal) ?? '' })),
    options,
    loadsAlone: loadsAlone(catalogue),
    hours: estimateText(estimateOf(variant, cluster, totalNodes), variant, cluster),
    *points() {
      for (const change of changes) {
        const point = plan.point(change.ordinal);
        if (point) yield pointOf(point, change);
      }
    },
  };
}

interface Whole {
  readonly totalNodes: number;
  readonly gpusPerNode: number;
  readonly order: readonly number[];
  readonly changes: readonly PointChange[];
  readonly hostSetup: PlannedHostSetup | null;
}

function headOf(variant: LoadedVariant, cluster: ClusterConfig, whole: Whole) {
  const { totalNodes, gpusPerNode, order, changes, hostSetup } = whole;
  const [first] = variant.points;
  return {
    file: variant.file,
    variant: variant.variant,
    name: variant.name,
    totalNodes,
    gpusPerNode,
    sbatch: first ? sbatchDirectives({ ...first.recipe, name: variant.name }, cluster, totalNodes) : [],
    estimate: estimateOf(variant, cluster, totalNodes),
    hostSetup: hostSetup && {
      ...hostCommands(first?.recipe.host_setup),
      nodes: (hostSetup.commands.length > 0 ? hostSetup.commands : hostSetup.teardown).map(
        ({ node }) => node,
      ),
    },
    order,
    engineLoads: changes.reduce((sum, { engineLoads }) => sum + engineLoads, 0),
  };
}

const hostCommands = (setup: PlannedPoint['recipe']['host_setup']) => ({
  commands: setup?.commands ?? [],
  teardown: setup?.teardown ?? [],
});

/** Formats points; a part that two consecutive points share is formatted once. */
function pointMaker(launch: (spec: ProcessSpec) => string[]) {
  const known = new WeakMap<ProcessSpec, ReturnType<typeof processesOf>>();
  const ranksOf = new WeakMap<PlannedPoint['endpointProcesses'], ReturnType<typeof byId>>();
  return (point: PlannedPoint, change: PointChange) => {
    const { params, name, recipe, roles, endpoints, endpointProcesses, processes, services } = point;
    const ranks = ranksOf.get(endpointProcesses) ?? byId(endpointProcesses);
    ranksOf.set(endpointProcesses, ranks);
    return {
      ...change,
      params,
      name,
      backend: enginesOf(recipe),
      frontend: recipe.frontend.type,
      benchmark: recipe.benchmark,
      roles,
      endpoints,
      services: services.map(({ processes: _, ...service }) => service),
      processes: processes.flatMap((spec) => {
        const made =
          known.get(spec) ?? processesOf(spec, ranks.get(spec.id), endpointProcesses, launch(spec));
        known.set(spec, made);
        return made;
      }),
    };
  };
}

/** `vllm`, or `vllm+tilert` where modes have different engines. */
const enginesOf = (recipe: PlannedPoint['recipe']): string =>
  [...new Set(recipesOf(recipe).map(({ backend }) => backend.type))].join('+');

const byId = (ranks: PlannedPoint['endpointProcesses']) =>
  new Map(ranks.map((rank) => [workerId(rank), rank]));

/** A process, and the ranks that its MPI launch starts. */
function processesOf(
  spec: ProcessSpec,
  rank: PlannedPoint['endpointProcesses'][number] | undefined,
  all: PlannedPoint['endpointProcesses'],
  launch: string[],
) {
  const own = { ...common(spec), ...ofRank(spec, rank), startedBy: null, launch };
  return [own, ...startedBy(spec, all).map((other) => ({ ...own, ...follower(spec, other) }))];
}

function common(spec: ProcessSpec) {
  const { id, role, node, gpus, argv, env, image, logFile } = spec;
  return { id, role, node, gpus, argv, env, image, log: basename(logFile) };
}

/** Workers have a mode, an index and a rank; other processes have their number in the id. */
function ofRank(spec: ProcessSpec, rank: PlannedPoint['endpointProcesses'][number] | undefined) {
  if (rank) return { mode: rank.mode, index: rank.index, rank: rank.rank, ports: rank.ports };
  const index = Number(/-(\d+)$/.exec(spec.id)?.[1] ?? 0);
  return { mode: null, index, rank: 0, ports: spec.ports };
}

/** Ranks that the MPI launch of their leader starts: they use nodes and GPUs, but no agent starts them. */
function startedBy(spec: ProcessSpec, all: PlannedPoint['endpointProcesses']) {
  if (!spec.mpi) return [];
  return all.filter((process) => process.rank > 0 && spec.id === workerId({ ...process, rank: 0 }));
}

function follower(leader: ProcessSpec, rank: PlannedPoint['endpointProcesses'][number]) {
  const { node, gpus } = rank;
  return {
    id: workerId(rank),
    node,
    argv: [],
    launch: [],
    env: {},
    gpus: [...gpus],
    startedBy: leader.id,
    ...ofRank(leader, rank),
  };
}
