import { allocate, workerNodesNeeded as nodesOfAny } from '../backends/common/allocation.ts';
import type { BackendProtocol, Registers } from '../backends/common/protocol.ts';
import { backendFor } from '../backends/index.ts';
import type { FrontendProtocol } from '../frontends/common/protocol.ts';
import { frontendFor } from '../frontends/index.ts';
import type {
  Endpoint,
  EndpointMode,
  EndpointProcess,
  JobContext,
  ProcessPorts,
  RuntimeContext,
  ServedModel,
} from '../model/kinds.ts';
import { modesOf, pathOfMode, recipeOf, recipesOf } from '../model/recipe-of.ts';
import { PlanError } from '../os/errors.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { PortAllocator } from '../recipe/values/ports.ts';

/** The engine of a recipe as one of its modes sees it. */
export function backendOf(recipe: Recipe): BackendProtocol {
  const backend = backendFor(recipe.backend.type);
  if (!backend) throw unknownType('backend', recipe.backend.type);
  return backend;
}

export const unknownType = (section: string, type: string): PlanError =>
  new PlanError('unknown-type', `unknown ${section} "${type}"`, {
    place: { file: '', path: `${section}.type` },
  });

/**
 * The engine that places the workers of all modes, with its view of the recipe. Undefined where modes have different
 * engines: `allocate` places their workers then, because no engine knows the others' rules.
 */
function placing(recipe: Recipe): { backend: BackendProtocol; view: Recipe } | undefined {
  const [view = recipe, ...others] = recipesOf(recipe);
  return others.every(({ backend }) => backend.type === view.backend.type)
    ? { backend: backendOf(view), view }
    : undefined;
}

/** A job of services alone has no workers. */
const servesWorkers = ({ frontend }: Recipe): boolean => frontendFor(frontend.type)?.servesWorkers !== false;

/** Nodes that the workers of a recipe need. */
export function workerNodesNeeded(recipe: Recipe): number {
  if (!servesWorkers(recipe)) return 0;
  const one = placing(recipe);
  return one ? one.backend.workerNodesNeeded(one.view) : nodesOfAny(recipe);
}

export function endpointsOf(recipe: Recipe, nodes: readonly string[]): Endpoint[] {
  if (!servesWorkers(recipe)) return [];
  const one = placing(recipe);
  return one ? one.backend.allocateEndpoints(one.view, nodes) : allocate(recipe, nodes);
}

/** The processes of all endpoints, by the engine of each mode; no two have a port in common. */
export function processesOf(recipe: Recipe, endpoints: readonly Endpoint[]): EndpointProcess[] {
  const ports = new PortAllocator();
  const [only, ...others] = recipesOf(recipe);
  if (others.length === 0) {
    const view = only ?? recipe;
    return backendOf(view).endpointsToProcesses(view, endpoints, ports);
  }
  return modesOf(recipe).flatMap((mode) => {
    const view = recipeOf(recipe, mode);
    const own = endpoints.filter((endpoint) => endpoint.mode === mode);
    return placedInMode(recipe, mode, () => backendOf(view).endpointsToProcesses(view, own, ports));
  });
}

/** Plans for one mode; an error about `backend` names the section of the mode. */
export function placedInMode<T>(recipe: Recipe, mode: EndpointMode, plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof PlanError) || !error.place?.path) throw error;
    const { code, message, hint, place } = error;
    const path = pathOfMode(recipe, mode, error.place.path.split('.')).join('.');
    throw new PlanError(code, message, {
      ...{ place: { ...place, file: place?.file ?? '', path }, cause: error },
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** How the workers of a mode register with a router. */
export const registersOf =
  (recipe: Recipe) =>
  (mode: EndpointMode): Registers => {
    const view = recipeOf(recipe, mode);
    return backendOf(view).registers?.(view) ?? { each: 1, ranks: false };
  };

/**
 * The name by which clients ask for the model: the one that the recipe gives to some mode, first to the one that answers.
 */
export function servedModelOf(
  recipe: Recipe,
  { namedBy }: FrontendProtocol,
  runtime: RuntimeContext,
): ServedModel {
  const modes = modesOf(recipe).reverse();
  const order = namedBy ? [namedBy, ...modes] : modes;
  const views = [...new Set(order.map((mode) => recipeOf(recipe, mode)))];
  const names = (views.length > 0 ? views : [recipe]).map((view) =>
    backendOf(view).servedModel(view, runtime),
  );
  const [first] = names;
  if (!first) throw new TypeError('a recipe without an engine');
  return names.find(({ isGiven }) => isGiven) ?? first;
}

/**
 * Each router supports the workers of some engines, and for some of those no split into prefill and decode
 * workers.
 * @throws PlanError for an engine and a router that do not fit together
 */
export function requireTogether(recipe: Recipe, { type, engines }: FrontendProtocol): void {
  const place = { file: '', path: 'frontend.type' };
  for (const mode of modesOf(recipe)) {
    const { type: engine, name, routers } = backendOf(recipeOf(recipe, mode));
    const which = routers[type] ?? engines?.[engine];
    if (which === undefined) {
      const types = Object.keys(routers);
      throw new PlanError('wrong-frontend', `a ${type} frontend has no ${name} workers`, {
        place,
        hint: `${types.join(' and ')} ${types.length > 1 ? 'do' : 'does'}`,
      });
    }
    if (which === 'aggregated' && mode !== 'agg')
      throw new PlanError('wrong-frontend', `${type} has no prefill and decode workers of ${name}`, {
        place,
        hint: 'give it aggregated workers, or use another frontend',
      });
  }
}

/**
 * Tasks per node: one agent, which starts every other process there. Only an engine with an MPI launch needs
 * a task for each GPU.
 */
export const tasksPerNode = (recipe: Recipe): number =>
  recipesOf(recipe).some((view) => backendFor(view.backend.type)?.launch === 'endpoint')
    ? recipe.resources.gpus_per_node
    : 1;

/** For these ports all ranks of an endpoint get the leader's, or count up from the first rank's. */
const OF_ENDPOINT = new Set<string>(['bootstrap', 'kvEvents', 'nixl'] satisfies (keyof ProcessPorts)[]);

/** The processes of a point with their real ports (JobContext.port). */
export function withRealPorts(
  processes: readonly EndpointProcess[],
  { port }: Pick<JobContext, 'port'>,
): EndpointProcess[] {
  const leaders = new Map(
    processes.filter(({ rank }) => rank === 0).map(({ mode, index, node }) => [`${mode} ${index}`, node]),
  );
  return processes.map((process): EndpointProcess => {
    const leader = leaders.get(`${process.mode} ${process.index}`) ?? process.node;
    const ports = Object.entries(process.ports).map(([name, planned]) => [
      name,
      planned ? port(OF_ENDPOINT.has(name) ? leader : process.node, planned) : planned,
    ]);
    return { ...process, ports: { ...process.ports, ...Object.fromEntries(ports) } };
  });
}
