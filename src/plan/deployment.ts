import type { BackendProtocol } from '../backends/common/protocol.ts';
import { backendFor } from '../backends/index.ts';
import type { BenchmarkContext } from '../benchmarks/common/protocol.ts';
import { benchmarkFor } from '../benchmarks/index.ts';
import type { FrontendProtocol } from '../frontends/common/protocol.ts';
import { frontendFor } from '../frontends/index.ts';
import { type DeployPhase, deployPhases, type ProcessSpec } from '../messages/spec/process-spec.ts';
import type { JobContext, PlannedBenchmark, PlannedPoint, RuntimeContext } from '../model/kinds.ts';
import { PlanError } from '../os/errors.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { etcdProcess, mooncakeProcesses } from './infra.ts';
import { linked } from './links.ts';
import { withRealPorts } from './ports.ts';
import { withImageSteps } from './prelude.ts';
import { afterPlacement, assignRoles, placementOf } from './roles.ts';
import { imageSteps, stepProcesses, withPreamble } from './steps.ts';
import { supervised } from './supervised.ts';
import { workerProcesses, workersAtRest } from './workers.ts';

/** A point without its benchmark: the part that all points with the same deploymentKey share. */
export interface PlannedDeployment
  extends Pick<PlannedPoint, 'roles' | 'endpoints' | 'endpointProcesses' | 'processes' | 'rest'> {
  readonly runtime: RuntimeContext;
  /** The address for the benchmark's requests. */
  readonly entry: BenchmarkContext['entry'];
  /** Adds the recipe's own settings and its image to a process. */
  readonly complete: (process: ProcessSpec) => ProcessSpec;
}

/** All of a recipe that determines its deployment, as text: without its name and its measurement. */
export const deploymentKey = ({ name: _, benchmark, ...recipe }: Recipe): string =>
  JSON.stringify([placementOf(benchmark), recipe]);

/** `isLinked`: the specs name the processes they depend on, which matters from one point to the next. */
export function planDeployment(recipe: Recipe, job: JobContext, isLinked: boolean): PlannedDeployment {
  const backend = backendOf(recipe);
  const frontend = frontendFor(recipe.frontend.type);
  if (!frontend) throw unknown('frontend', recipe.frontend.type);
  const runtime = job.forRecipe(recipe);
  const assigned = assignRoles(recipe, job.nodes, backend.workerNodesNeeded(recipe));
  const endpoints = backend.allocateEndpoints(recipe, assigned.workers);
  const roles = afterPlacement(recipe, assigned, endpoints);
  requireTogether(recipe, backend, frontend);
  const endpointProcesses = withRealPorts(backend.endpointsToProcesses(recipe, endpoints), runtime);
  const registers = backend.registers?.(recipe) ?? { each: 1, ranks: false };
  const around = { recipe, runtime, roles, processes: endpointProcesses, registers };
  const engines = [
    ...workerProcesses({ backend, frontend }, recipe, runtime, roles, endpointProcesses),
    ...frontend.processes(around),
  ];
  const own = frontend.steps?.(recipe, runtime) ?? { once: [], inImage: [] };
  const before = imageSteps(runtime, own);
  const complete = (process: ProcessSpec) =>
    withPreamble(withImageSteps(supervised(process, recipe), before, runtime), runtime);
  const processes = byPhase([
    ...(frontend.needsEtcd ? [etcdProcess(job, roles)] : []),
    ...mooncakeProcesses(recipe, runtime, roles),
    ...stepProcesses(recipe, runtime, engines, own),
    ...engines,
  ]).map(complete);
  return {
    roles,
    endpoints,
    endpointProcesses,
    processes: isLinked
      ? linked(processes, { findsWorkers: frontend.needsEtcd, endpoints: endpointProcesses })
      : processes,
    rest: workersAtRest(backend, recipe, runtime, roles, endpointProcesses),
    runtime,
    entry: {
      ...frontend.entry(around),
      takesTokenIds: frontend.takesTokenIds,
      model: backend.servedModel(recipe, runtime),
    },
    complete,
  };
}

/** A point on its recipe's deployment. The benchmark's phase is the last one. */
export function planPoint(
  { name, params, recipe }: Pick<PlannedPoint, 'name' | 'params' | 'recipe'>,
  { ordinal, pointDir }: { readonly ordinal: number; readonly pointDir: string },
  { runtime, entry, complete, ...deployment }: PlannedDeployment,
): PlannedPoint {
  const { roles, endpointProcesses: ranks, processes, rest } = deployment;
  const planned = planBenchmark({ recipe, runtime, roles, processes: ranks, entry, pointDir, ordinal, rest });
  const process = planned.process && complete(planned.process);
  return {
    ...deployment,
    ordinal,
    name,
    params,
    recipe,
    processes: process ? [...processes, process] : processes,
    benchmark: { ...planned, process },
  };
}

/** A known type that srtctl cannot run yet is planned without a process; requireRunnable reports it. */
function planBenchmark(context: BenchmarkContext): PlannedBenchmark {
  const { type } = context.recipe.benchmark;
  return benchmarkFor(type)?.plan(context) ?? { type, process: null, resultDir: context.pointDir };
}

/**
 * Each router supports the workers of some engines, and for some of those no split into prefill and decode
 * workers.
 * @throws PlanError for an engine and a router that do not fit together
 */
function requireTogether(
  { resources }: Recipe,
  { type: engine, name, routers }: BackendProtocol,
  { type, engines }: FrontendProtocol,
): void {
  const which = routers[type] ?? engines?.[engine];
  const place = { file: '', path: 'frontend.type' };
  if (which === undefined) {
    const types = Object.keys(routers);
    throw new PlanError('wrong-frontend', `a ${type} frontend has no ${name} workers`, {
      place,
      hint: `${types.join(' and ')} ${types.length > 1 ? 'do' : 'does'}`,
    });
  }
  if (which === 'aggregated' && (resources.agg_workers ?? 0) === 0)
    throw new PlanError('wrong-frontend', `${type} has no prefill and decode workers of ${name}`, {
      place,
      hint: 'give it aggregated workers, or use another frontend',
    });
}

export function backendOf(recipe: Recipe): BackendProtocol {
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
