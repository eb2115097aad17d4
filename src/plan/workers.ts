import { takesRequestsOverTcp } from '../backends/common/dynamo-environment.ts';
import type { BackendProtocol, WorkerContext } from '../backends/common/protocol.ts';
import type { FrontendProtocol } from '../frontends/common/protocol.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { EndpointProcess, Roles, RuntimeContext, WorkerRest } from '../model/kinds.ts';
import { endpointId, workerId } from '../model/worker-id.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

/** An engine finishes its requests and ends its children; only a hung one takes the whole grace. */
const GRACE_MS = 30_000;
/** The planned indices would name GPUs that do not exist. */
const NO_GPUS = { CUDA_VISIBLE_DEVICES: '' };
const UNHEALTHY_AFTER_MS = 300_000;

/**
 * Name of a worker's log: `<node>_<mode>_w<index>.out`; for further ranks of an endpoint on the node, with
 * their rank.
 */
function workerLog({ node, mode, index, rank }: EndpointProcess, ranks: readonly EndpointProcess[]): string {
  const first = ranks.find((other) => other.node === node)?.rank === rank;
  return `${node}_${mode}_w${index}${first ? '' : `_r${rank}`}.out`;
}

/** The worker processes of agents: one for each rank, or one for all ranks where MPI starts the others. */
export function workerProcesses(
  { backend, frontend }: { readonly backend: BackendProtocol; readonly frontend: FrontendProtocol },
  recipe: Recipe,
  runtime: RuntimeContext,
  roles: Roles,
  all: readonly EndpointProcess[],
): ProcessSpec[] {
  const perEndpoint = backend.launch === 'endpoint';
  const ranksOf = byEndpoint(all);
  const started = perEndpoint ? all.filter(({ rank }) => rank === 0) : all;
  return started.map((process): ProcessSpec => {
    const ranks = ranksOf(process);
    const context: WorkerContext = { recipe, runtime, roles, process, ranks, all };
    const { mode, node, gpus } = process;
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
      argv: backend.command(context),
      env: { ...backend.environment(context), ...(runtime.hasGpus ? {} : NO_GPUS) },
      logFile: `${runtime.logDir}/${workerLog(process, ranks)}`,
      ...(files ? { files } : {}),
      ...(perEndpoint ? { mpi: mpiLaunch(ranks) } : {}),
      gpus: [...gpus],
      image: runtime.image,
      ports: Object.fromEntries(
        Object.entries<number | null>(ports).filter((entry): entry is [string, number] => Boolean(entry[1])),
      ),
      probe: backend.healthProbe(context),
      ...(progress
        ? { progress: { ...progress, hungAfterMs: Math.round(recipe.supervision.hung_after * 1000) } }
        : {}),
      ...(backend.fatalLines ? { fatalLines: [...backend.fatalLines] } : {}),
      critical: true,
      terminates: false,
      startTimeoutMs: seconds * attempts * 1000,
      graceMs: frontend.workerGraceMs ?? GRACE_MS,
      unhealthyAfterMs: UNHEALTHY_AFTER_MS,
    };
  });
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

/** A task for each GPU, on all nodes of the endpoint. */
const mpiLaunch = (ranks: readonly EndpointProcess[]): NonNullable<ProcessSpec['mpi']> => ({
  tasks: ranks.reduce((sum, { gpus }) => sum + gpus.length, 0),
  nodes: ranks.map(({ node }) => node),
});

/** How to bring each worker to rest between two measurements, through its leader. */
export function workersAtRest(
  backend: BackendProtocol,
  recipe: Recipe,
  runtime: RuntimeContext,
  roles: Roles,
  all: readonly EndpointProcess[],
): WorkerRest[] {
  const unknown = { flush: [], load: null, why: `${backend.type} cannot flush its caches` };
  const ranksOf = byEndpoint(all);
  return all
    .filter(({ rank }) => rank === 0)
    .map((process) => {
      const ranks = ranksOf(process);
      const how = backend.rest?.({ recipe, runtime, roles, process, ranks, all }) ?? unknown;
      return { process: workerId(process), node: process.node, ...how };
    });
}
