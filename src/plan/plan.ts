import { backendFor } from '../backends/index.ts';
import type { BackendProtocol } from '../backends/protocol.ts';
import { benchmarkFor } from '../benchmarks/index.ts';
import type { BenchmarkContext } from '../benchmarks/protocol.ts';
import { PlanError } from '../errors.ts';
import { frontendFor } from '../frontends/index.ts';
import { type DeployPhase, deployPhases, type ProcessSpec } from '../messages/process-spec.ts';
import type { Recipe } from '../recipe/schema.ts';
import { type LoadedVariant, numbersOf, ordinalOf, placeIn } from '../recipe/variant.ts';
import { etcdProcess, mooncakeProcesses } from './infra.ts';
import type { JobContext, Plan, PlannedBenchmark, PlannedPoint } from './kinds.ts';
import { linked } from './links.ts';
import { withImageSteps } from './prelude.ts';
import { afterPlacement, assignRoles, extraNodes } from './roles.ts';
import { imageSteps, stepProcesses, withPreamble } from './steps.ts';
import { supervised } from './supervised.ts';
import { changesOf, runningOrder } from './sweep-order.ts';
import { workerProcesses, workersAtRest } from './workers.ts';

/** Nodes of the allocation that runs a variant: as many as its largest point needs. */
export function nodesNeeded(variant: LoadedVariant): number {
  return Math.max(...variant.points.map((point) => nodesOfPoint(variant, point)));
}

/** Nodes beyond those, which take the place of lost ones. */
export const spareNodesOf = ({ points }: LoadedVariant): number =>
  Math.max(...points.map(({ recipe }) => recipe.resources.spare_nodes));

/** All nodes that a variant's allocation has. */
export const nodesToAllocate = (variant: LoadedVariant): number =>
  nodesNeeded(variant) + spareNodesOf(variant);

/**
 * Everything that is to run for a variant on the nodes of `runtime`. Pure: the same input gives the same plan.
 * @throws PlanError with the place in the recipe when it cannot be planned
 */
export function planVariant(variant: LoadedVariant, runtime: JobContext): Plan {
  const [first] = variant.points;
  if (!first) throw new TypeError('a variant without points');
  const numbers = numbersOf(variant);
  const planned = variant.points.map((point, at) =>
    located(variant, () => planPoint(point, { ordinal: ordinalOf(variant, at), numbers }, runtime)),
  );
  // What stands and falls together matters from one point to the next.
  const points = planned.length > 1 ? planned.map(withLinks) : planned;
  let order: number[] | undefined;
  const inOrder = () => {
    order ??= runningOrder(points, variant.sweep.order);
    return order;
  };
  const running = () => {
    const byOrdinal = new Map(points.map((point) => [point.ordinal, point]));
    return inOrder().flatMap((ordinal) => byOrdinal.get(ordinal) ?? []);
  };
  return {
    name: variant.name,
    totalNodes: nodesNeeded(variant),
    gpusPerNode: first.recipe.resources.gpus_per_node,
    points,
    // Not everybody wants to know, and of thousands of points it takes seconds.
    get order() {
      return inOrder();
    },
    get changes() {
      return changesOf(running());
    },
  };
}

function planPoint(
  point: LoadedVariant['points'][number],
  { ordinal, numbers }: { readonly ordinal: number; readonly numbers: number },
  job: JobContext,
): PlannedPoint {
  const { recipe, name, params } = point;
  const backend = backendOf(recipe);
  const frontend = frontendFor(recipe.frontend.type);
  if (!frontend) throw unknown('frontend', recipe.frontend.type);
  const runtime = job.forRecipe(recipe);
  const assigned = assignRoles(recipe, job.nodes, backend.workerNodesNeeded(recipe));
  const endpoints = backend.allocateEndpoints(recipe, assigned.workers);
  const roles = afterPlacement(recipe, assigned, endpoints);
  const endpointProcesses = backend.endpointsToProcesses(recipe, endpoints);
  const around = { recipe, runtime, roles, processes: endpointProcesses };
  const benchmark = planBenchmark({
    ...around,
    entry: frontend.entry(around),
    pointDir: job.pointDir(ordinal, name, numbers),
  });
  const engines = [
    ...workerProcesses(backend, recipe, runtime, roles, endpointProcesses),
    ...frontend.processes(around),
  ];
  const before = imageSteps(recipe, runtime);
  const processes = [
    ...(frontend.needsEtcd ? [etcdProcess(job, roles)] : []),
    ...mooncakeProcesses(recipe, runtime, roles),
    ...stepProcesses(recipe, runtime, engines),
    ...engines,
    ...(benchmark.process ? [benchmark.process] : []),
  ];
  return {
    ordinal,
    name,
    params,
    recipe,
    roles,
    endpoints,
    endpointProcesses,
    processes: byPhase(processes).map((process) =>
      withPreamble(withImageSteps(supervised(process, recipe), before, runtime), runtime),
    ),
    benchmark,
    rest: workersAtRest(backend, recipe, runtime, roles, endpointProcesses),
  };
}

const withLinks = (point: PlannedPoint): PlannedPoint => ({
  ...point,
  processes: linked(point.processes, {
    findsWorkers: frontendFor(point.recipe.frontend.type)?.needsEtcd ?? false,
  }),
});

/** A type that a recipe may name and nobody can run yet plans without a process: requireRunnable says so. */
function planBenchmark(context: BenchmarkContext): PlannedBenchmark {
  const { type } = context.recipe.benchmark;
  return benchmarkFor(type)?.plan(context) ?? { type, process: null, resultDir: context.pointDir };
}

/** Nodes that one point needs. */
export const nodesOfPoint = (variant: LoadedVariant, { recipe }: LoadedVariant['points'][number]): number =>
  located(variant, () => pointNodes(recipe));

const pointNodes = (recipe: Recipe): number =>
  extraNodes(recipe) + backendOf(recipe).workerNodesNeeded(recipe);

function backendOf(recipe: Recipe): BackendProtocol {
  const backend = backendFor(recipe.backend.type);
  if (!backend) throw unknown('backend', recipe.backend.type);
  return backend;
}

const unknown = (section: string, type: string): PlanError =>
  new PlanError('unknown-type', `unknown ${section} "${type}"`, {
    place: { file: '', path: `${section}.type` },
  });

const order = (phase: DeployPhase): number => deployPhases.indexOf(phase);

const byPhase = (processes: readonly ProcessSpec[]): ProcessSpec[] =>
  [...processes].sort((a, b) => order(a.phase) - order(b.phase));

/** What plans knows the path in the recipe; the variant knows the file and line. */
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
