import { withEvaluation } from '../benchmarks/accuracy/post-eval.ts';
import type { BenchmarkContext } from '../benchmarks/common/protocol.ts';
import { benchmarkFor } from '../benchmarks/index.ts';
import { frontendFor } from '../frontends/index.ts';
import { type DeployPhase, deployPhases } from '../messages/spec/deploy-phases.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { JobContext, PlannedBenchmark, PlannedPoint, Roles, RuntimeContext } from '../model/kinds.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import type { Path } from '../recipe/source/problems.ts';
import { fillRecipe, type JobValues } from '../recipe/values/placeholders.ts';
import { planServices } from '../services/plan.ts';
import {
  endpointsOf,
  processesOf,
  registersOf,
  requireTogether,
  servedModelOf,
  unknownType,
  withRealPorts,
  workerNodesNeeded,
} from './engines.ts';
import { linked } from './links.ts';
import { optionChecks } from './options/check-step.ts';
import { withImageSteps } from './prelude.ts';
import { afterPlacement, assignRoles, placementOf } from './roles.ts';
import { imageSteps, imagesOf, stepProcesses, withPreamble } from './steps.ts';
import { supervised } from './supervised.ts';
import { workerProcesses, workersAtRest } from './workers.ts';

/** A point without its benchmark: the part that all points with the same deploymentKey share. */
export interface PlannedDeployment
  extends Pick<
    PlannedPoint,
    'roles' | 'endpoints' | 'endpointProcesses' | 'processes' | 'services' | 'rest'
  > {
  readonly runtime: RuntimeContext;
  /** The address for the benchmark's requests. */
  readonly entry: BenchmarkContext['entry'];
  /** Adds the recipe's own settings and its image to a process. */
  readonly complete: (process: ProcessSpec) => ProcessSpec;
  /** The placeholders of the job. */
  readonly values: JobValues;
}

/** All of a recipe that determines its deployment, as text: without its name and its measurement. */
export const deploymentKey = ({ name: _, benchmark, ...recipe }: Recipe): string =>
  JSON.stringify([placementOf(benchmark), recipe]);

/**
 * What a process knows of its job. `model_path` is the path that the process sees. The run's name has the
 * variant's, because points with the same deployment share its processes.
 */
export const valuesOf = (recipe: Recipe, runtime: RuntimeContext, roles: Roles, name: string): JobValues => ({
  job_id: runtime.jobId,
  run_name: `${name}_${runtime.jobId}`,
  log_dir: runtime.logDir,
  model_path: runtime.modelPathInside,
  container_image: runtime.image ?? recipe.model.container,
  gpus_per_node: String(recipe.resources.gpus_per_node),
  head_node_ip: runtime.address(roles.head),
  nodelist: runtime.nodes.map((node) => runtime.host(node)).join(','),
});

/** `isLinked`: the specs name the processes they depend on, which matters from one point to the next. */
export function planDeployment(
  asked: Recipe,
  job: JobContext,
  {
    name,
    isLinked,
    placeOf,
  }: {
    readonly name: string;
    readonly isLinked: boolean;
    /** A place in the recipe's file, as text. */
    readonly placeOf: (path: Path) => string;
  },
): PlannedDeployment {
  const frontend = frontendFor(asked.frontend.type);
  if (!frontend) throw unknownType('frontend', asked.frontend.type);
  const runtime = job.forRecipe(asked);
  const assigned = assignRoles(asked, job.nodes, workerNodesNeeded(asked));
  const endpoints = endpointsOf(asked, assigned.workers);
  const roles = afterPlacement(asked, assigned, endpoints);
  const values = valuesOf(asked, runtime, roles, name);
  const recipe = fillRecipe(asked, values);
  requireTogether(recipe, frontend);
  const endpointProcesses = withRealPorts(processesOf(recipe, endpoints), runtime);
  const around = { recipe, runtime, roles, processes: endpointProcesses, registers: registersOf(recipe) };
  const engines = [
    ...workerProcesses(frontend, recipe, job, roles, endpointProcesses),
    ...frontend.processes(around),
  ];
  const services = planServices(recipe, runtime, roles, endpoints, endpointProcesses);
  const own = frontend.steps?.(recipe, runtime) ?? { once: [], inImage: [] };
  const before = imageSteps(runtime, own);
  const images = imagesOf(engines, runtime);
  const complete = (process: ProcessSpec) =>
    withPreamble(withImageSteps(supervised(process, recipe), before, images, runtime), images, runtime);
  const processes = byPhase([
    ...services.processes,
    ...stepProcesses(recipe, runtime, engines, own),
    ...optionChecks(recipe, runtime, { engines, ranks: endpointProcesses }, placeOf),
    ...engines,
  ]).map(complete);
  return {
    roles,
    endpoints,
    endpointProcesses,
    processes: isLinked
      ? linked(processes, {
          findsWorkers: frontend.needsEtcd,
          endpoints: endpointProcesses,
          alone: new Set(services.services.flatMap((each) => (each.standsAlone ? each.processes : []))),
        })
      : processes,
    services: services.services,
    rest: workersAtRest(recipe, job, roles, endpointProcesses),
    runtime,
    entry: {
      ...frontend.entry(around),
      takesTokenIds: frontend.takesTokenIds,
      ...(frontend.chatAlone ? { chatAlone: true } : {}),
      model: servedModelOf(recipe, frontend, runtime),
    },
    complete,
    values,
  };
}

/** A point on its recipe's deployment. The benchmark's phase is the last one. */
export function planPoint(
  { name, params, recipe }: Pick<PlannedPoint, 'name' | 'params' | 'recipe'>,
  { ordinal, pointDir }: { readonly ordinal: number; readonly pointDir: string },
  { runtime, entry, complete, values, ...deployment }: PlannedDeployment,
): PlannedPoint {
  const { roles, endpointProcesses: ranks, services, rest } = deployment;
  const filled = fillRecipe(recipe, values);
  const planned = planBenchmark({
    recipe: filled,
    runtime,
    roles,
    services,
    processes: ranks,
    entry,
    pointDir,
    ordinal,
    rest,
  });
  const terminal = new Set(services.flatMap((each) => (each.terminal ? each.processes : [])));
  const own = deployment.processes.map((spec) => (terminal.has(spec.id) ? ofPoint(spec, pointDir) : spec));
  const before = (planned.before ?? []).map(complete);
  const processes = before.length > 0 ? byPhase([...before, ...own]) : own;
  const process = planned.process && complete(planned.process);
  const others = planned.others?.map(complete);
  return {
    ...deployment,
    ordinal,
    name,
    params,
    recipe,
    processes: process ? [...processes, process, ...(others ?? [])] : processes,
    benchmark: { ...planned, process, ...(others ? { others } : {}) },
    entry: servedAt(filled, runtime, entry),
  };
}

const servedAt = (
  { frontend }: Recipe,
  runtime: RuntimeContext,
  { node, port, model }: BenchmarkContext['entry'],
): PlannedPoint['entry'] =>
  frontend.type === 'none' ? null : { node, host: runtime.address(node), port, model: model.name };

/** A service that is the run runs again for each point, and knows where to leave its results. */
const ofPoint = (spec: ProcessSpec, pointDir: string): ProcessSpec => ({
  ...spec,
  env: { SRT_RESULT_DIR: pointDir, ...spec.env },
});

/** A known type that srtctl cannot run yet is planned without a process; requireRunnable reports it. */
function planBenchmark(context: BenchmarkContext): PlannedBenchmark {
  const { type } = context.recipe.benchmark;
  const planned = benchmarkFor(type)?.plan(context);
  if (planned) return withEvaluation(planned, context);
  return { type, process: null, resultDir: context.pointDir };
}

const order = (phase: DeployPhase): number => deployPhases.indexOf(phase);

const byPhase = (processes: readonly ProcessSpec[]): ProcessSpec[] =>
  [...processes].sort((a, b) => order(a.phase) - order(b.phase));
