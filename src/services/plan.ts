import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { Endpoint, EndpointProcess, PlannedService, Roles, RuntimeContext } from '../model/kinds.ts';
import { PlanError } from '../os/errors.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { instancesOf } from './common/placement.ts';
import { serviceProcesses, startOf } from './common/process.ts';
import type { ServiceProtocol } from './common/protocol.ts';
import { type EffectiveService, effectiveServices } from './effective.ts';
import { serviceKind } from './index.ts';

/** Nodes of each pool, by the name of the service that owns it, in the order of `services`. */
export const poolSizes = ({ services }: Pick<Recipe, 'services'>): [name: string, nodes: number][] =>
  (services ?? []).flatMap(({ name, nodes, enabled }): [string, number][] =>
    enabled && nodes != null ? [[name, nodes]] : [],
  );

export const poolNodes = (recipe: Pick<Recipe, 'services'>): number =>
  poolSizes(recipe).reduce((sum, [, nodes]) => sum + nodes, 0);

interface ServicePlan {
  readonly processes: ProcessSpec[];
  readonly services: PlannedService[];
}

/**
 * All services of a point. Those of a phase start in the order of the recipe: one that has to become ready is waited for
 * before the next one starts.
 * @throws PlanError when two of them have the same port on a node
 */
export function planServices(
  recipe: Recipe,
  runtime: RuntimeContext,
  roles: Roles,
  endpoints: readonly Endpoint[],
  workers: readonly EndpointProcess[],
): ServicePlan {
  const orders = new Map<string, number>();
  const processes: ProcessSpec[] = [];
  const services: PlannedService[] = [];
  for (const effective of effectiveServices(recipe)) {
    const { service, impliedBy } = effective;
    const kind = serviceKind(service.type);
    if (!kind) throw new TypeError(`no kind ${service.type}`);
    const instances = instancesOf(service, kind, { roles, endpoints, processes: workers });
    const start = startOf(service, kind);
    const order = orders.get(start) ?? 0;
    const own =
      service.external == null
        ? serviceProcesses(kind, { recipe, runtime, roles, service, instances, workers }, order)
        : [];
    // Services that start with the workers do not wait for one another.
    const gates = start !== 'with_workers' && own.some(({ probe }) => probe.kind !== 'running');
    if (gates) orders.set(start, Math.max(order, ...own.map((spec) => spec.order ?? 0)) + 1);
    processes.push(...own.map((spec) => (start === 'with_workers' ? withoutOrder(spec) : spec)));
    services.push({
      ...{ name: service.name, type: service.type, start, impliedBy, external: service.external ?? null },
      nodes: own.length > 0 || kind.processes ? [...new Set(instances.map(({ node }) => node))] : [],
      processes: own.map(({ id }) => id),
      terminal: service.terminal,
      standsAlone: kind.standsAlone === true,
      owns: service.nodes != null,
    });
    requireFreePorts(effective, kind, own, processes);
  }
  return { processes, services };
}

const withoutOrder = ({ order: _, ...spec }: ProcessSpec): ProcessSpec => spec;

function requireFreePorts(
  { service, at }: EffectiveService,
  kind: ServiceProtocol,
  own: readonly ProcessSpec[],
  all: readonly ProcessSpec[],
): void {
  for (const spec of own)
    for (const port of new Set(Object.values(spec.ports))) {
      const other = all.find(
        ({ id, node, ports }) => id !== spec.id && node === spec.node && Object.values(ports).includes(port),
      );
      if (!other) continue;
      throw new PlanError(
        'same-port',
        `"${service.name}" and ${other.id} both have port ${port} on ${spec.node}`,
        {
          place: { file: '', path: at === null ? 'services' : `services[${at}]` },
          hint: `give ${kind.type === 'generic' ? 'one of them another port' : 'one of them another port or other nodes'}`,
        },
      );
    }
}
