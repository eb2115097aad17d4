import { shapeIn } from '../backends/common/allocation.ts';
import { takesRequestsOverTcp } from '../backends/common/dynamo-environment.ts';
import type { BackendProtocol, WorkerContext } from '../backends/common/protocol.ts';
import type { FrontendProtocol } from '../frontends/common/protocol.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { EndpointMode, EndpointProcess, JobContext, Roles, WorkerRest } from '../model/kinds.ts';
import { recipeOf } from '../model/recipe-of.ts';
import { endpointId, workerId } from '../model/worker-id.ts';
import { restartIn } from '../model/worker-restart.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { fillNodeText } from '../recipe/values/fill-node.ts';
import { backendOf, placedInMode } from './engines.ts';

/** An engine finishes its requests and ends its children; only a hung one takes the whole grace. */
const GRACE_MS = 30_000;
const UNHEALTHY_AFTER_MS = 300_000;

/**
 * Name of a worker's log: `<node>_<mode>_w<index>.out`; with the number of a standby engine, and with the rank of
 * further ranks on the node.
 */
function workerLog(
  { node, mode, index, rank, standby }: EndpointProcess,
  ranks: readonly EndpointProcess[],
): string {
  const first = ranks.find((other) => other.node === node)?.rank === rank;
  const engine = standby === undefined ? '' : `_e${standby}`;
  return `${node}_${mode}_w${index}${engine}${first ? '' : `_r${rank}`}.out`;
}

/** The worker processes of agents: one for each rank, or one for all ranks where MPI starts the others. */
export function workerProcesses(
  frontend: FrontendProtocol,
  whole: Recipe,
  job: JobContext,
  roles: Roles,
  all: readonly EndpointProcess[],
): ProcessSpec[] {
  const ranksOf = byEndpoint(all);
  const viewOf = views(whole, job);
  const isPerEndpoint = ({ mode }: EndpointProcess) => viewOf(mode).backend.launch === 'endpoint';
  const started = all.filter((process) => process.rank === 0 || !isPerEndpoint(process));
  const shared = new Set(
    all.flatMap(({ mode, index, standby }) => (standby === undefined ? [] : [endpointId({ mode, index })])),
  );
  return started.map((process) => placedInMode(whole, process.mode, () => workerProcess(process)));

  function workerProcess(process: EndpointProcess): ProcessSpec {
    const ranks = ranksOf(process);
    const { mode, node, gpus } = process;
    const worker = endpointId({ mode, index: process.index });
    const { backend, recipe, runtime } = viewOf(mode);
    const ofRole = whole.roles?.[mode]?.srun_options ?? {};
    const srunOptions = Object.keys(ofRole).length > 0 ? ofRole : null;
    const context: WorkerContext = { recipe, runtime, roles, process, ranks, all };
    const { requests, ...own } = process.ports;
    const ports = {
      ...own,
      ...(takesRequestsOverTcp(recipe) ? { requests } : {}),
      ...backend.ports?.(context),
    };
    const files = backend.files?.(context);
    const progress = backend.progress?.(context);
    const { interval_seconds: seconds, max_attempts: attempts } = recipe.health_check;
    return {
      id: workerId(process),
      role: mode,
      phase: 'worker',
      node,
      argv: backend.command(context).map((word) => fillNodeText(word, runtime, node)),
      // Where there are no GPUs, the planned indices would name some that do not exist.
      env: { ...backend.environment(context), ...(runtime.hasGpus ? {} : { [runtime.visibleDevices]: '' }) },
      logFile: `${runtime.logDir}/${workerLog(process, ranks)}`,
      ...(files ? { files } : {}),
      ...(isPerEndpoint(process) ? { mpi: mpiLaunch(ranks, shapeIn(recipe, mode).gpus) } : {}),
      ...(srunOptions ? { srunOptions } : {}),
      gpus: [...gpus],
      ...(shared.has(worker) ? { sharesGpus: worker } : {}),
      image: runtime.containers ? (backend.image?.(recipe, mode) ?? runtime.image) : null,
      ports: Object.fromEntries(
        Object.entries<number | null>(ports).filter((entry): entry is [string, number] => Boolean(entry[1])),
      ),
      probe: backend.healthProbe(context),
      ...(progress
        ? {
            progress: { ...progress, hungAfterMs: Math.round(recipe.supervision.hung_after * 1000) },
            metrics: [{ host: progress.host, port: progress.port, path: progress.path }],
          }
        : {}),
      ...fatalOf(backend, recipe),
      critical: true,
      ...restartPolicyOf(recipe, process),
      terminates: false,
      startTimeoutMs: seconds * attempts * 1000,
      graceMs: frontend.workerGraceMs ?? GRACE_MS,
      unhealthyAfterMs: UNHEALTHY_AFTER_MS,
    };
  }
}

/** The engine, the recipe and the context of each mode. */
function views(whole: Recipe, job: JobContext) {
  const view = (mode: EndpointMode) => {
    const recipe = recipeOf(whole, mode);
    return { backend: backendOf(recipe), recipe, runtime: job.forRecipe(recipe) };
  };
  const known = new Map<EndpointMode, ReturnType<typeof view>>();
  return (mode: EndpointMode) => {
    const found = known.get(mode) ?? view(mode);
    known.set(mode, found);
    return found;
  };
}

/** Nothing where a worker that ends does not start again. */
function restartPolicyOf(
  recipe: Recipe,
  process: EndpointProcess,
): { restartPolicy?: ProcessSpec['restartPolicy'] } {
  const restart = restartIn(recipe, process.mode);
  if (!restart) return {};
  return {
    restartPolicy: {
      endpoint: endpointId(process),
      when: restart.policy,
      most: restart.max_restarts,
      backoffMs: Math.round(restart.backoff_seconds * 1000),
      mostBackoffMs: Math.round(restart.max_backoff_seconds * 1000),
    },
  };
}

/** Lines of its log with which a worker has failed: those of its engine, and those of the recipe. */
function fatalOf(
  { fatalLines }: BackendProtocol,
  { health_check: { fatal_log_markers: markers, extra_fatal_log_patterns: patterns } }: Recipe,
): Pick<ProcessSpec, 'fatalLines' | 'fatalPatterns'> {
  return {
    ...(fatalLines && markers !== false ? { fatalLines: [...fatalLines] } : {}),
    ...(patterns && patterns.length > 0 ? { fatalPatterns: [...patterns] } : {}),
  };
}

/** Ranks by endpoint. Indexed, because scanning all of thousands of processes for each is quadratic. */
function byEndpoint(
  all: readonly EndpointProcess[],
): (process: EndpointProcess) => readonly EndpointProcess[] {
  const found = new Map<string, EndpointProcess[]>();
  for (const process of all) {
    const ranks = found.get(endpointId(process));
    if (ranks) ranks.push(process);
    else found.set(endpointId(process), [process]);
  }
  return (process) => found.get(endpointId(process)) ?? [];
}

/** A task for each of the worker's GPUs, on all nodes of the endpoint. */
const mpiLaunch = (ranks: readonly EndpointProcess[], tasks: number): NonNullable<ProcessSpec['mpi']> => ({
  tasks,
  nodes: ranks.map(({ node }) => node),
});

/** How to bring each worker to rest between two measurements, through its leader. */
export function workersAtRest(
  whole: Recipe,
  job: JobContext,
  roles: Roles,
  all: readonly EndpointProcess[],
): WorkerRest[] {
  const viewOf = views(whole, job);
  const ranksOf = byEndpoint(all);
  return all
    .filter(({ rank }) => rank === 0)
    .map((process) => {
      const ranks = ranksOf(process);
      const { backend, recipe, runtime } = viewOf(process.mode);
      const unknown = { flush: [], load: null, why: `${backend.type} cannot flush its caches` };
      const how = backend.rest?.({ recipe, runtime, roles, process, ranks, all }) ?? unknown;
      return { process: workerId(process), node: process.node, ...how };
    });
}
