import type { Endpoint, EndpointProcess, Roles } from '../../model/kinds.ts';
import type { Service } from '../../recipe/schema/services.ts';
import type { AttachedWorker, Instance, ServiceProtocol } from './protocol.ts';

export interface Placed {
  readonly roles: Roles;
  readonly endpoints: readonly Endpoint[];
  readonly processes: readonly EndpointProcess[];
}

/** Where the instances of a service run, in order. */
export function instancesOf(service: Service, kind: ServiceProtocol, placed: Placed): Instance[] {
  const nodes = nodesOf(service, kind, placed);
  const perWorker =
    service.placement?.per === 'worker' || (service.placement == null && kind.perWorker === true);
  if (!perWorker) return nodes.map((node, index) => ({ node, index }));
  return attachedWorkers(service, kind, placed)
    .filter(({ node, worker }) => nodes.includes(node) && !(kind.leadersAlone && worker.nodeRank > 0))
    .map(({ node, worker }, index) => ({ node, index, worker }));
}

/** The pool of a service with nodes, or the pool it rides on. */
export const poolOf = ({ name, nodes, placement }: Service): string | undefined =>
  nodes != null ? name : (placement?.pool ?? undefined);

function nodesOf(service: Service, kind: ServiceProtocol, { roles, endpoints }: Placed): readonly string[] {
  const pool = poolOf(service);
  if (pool !== undefined) return roles.pools[pool] ?? [];
  const node = service.placement?.node ?? kind.placement;
  switch (node) {
    case 'head':
      return [roles.head];
    case 'infra':
    case 'dedicated':
      return [roles.infra];
    case 'workers':
      return roles.workers;
    case 'compute':
      return computeNodes(roles);
    case 'all':
      return [
        ...new Set([...computeNodes(roles), roles.head, roles.infra, roles.bench, ...(roles.clients ?? [])]),
      ];
    case 'prefill':
    case 'decode':
    case 'agg':
      return [...new Set(endpoints.filter(({ mode }) => mode === node).flatMap(({ nodes }) => nodes))];
  }
}

const computeNodes = ({ workers, pools }: Roles): string[] => [
  ...new Set([...workers, ...Object.values(pools).flat()]),
];

/** Each worker on each of its nodes once, however many processes it has there. */
function attachedWorkers(
  service: Service,
  kind: ServiceProtocol,
  { endpoints, processes }: Placed,
): { node: string; worker: AttachedWorker }[] {
  const node = service.placement?.node ?? kind.placement;
  return endpoints
    .filter(({ mode }) => node === 'workers' || mode === node)
    .flatMap((endpoint) =>
      endpoint.nodes.map((at, nodeRank) => {
        const own = processes.filter(
          (process) =>
            process.mode === endpoint.mode && process.index === endpoint.index && process.node === at,
        );
        const gpus = [...new Set(own.flatMap((process) => process.gpus))].sort((a, b) => a - b);
        return {
          node: at,
          worker: {
            role: endpoint.mode,
            index: endpoint.index,
            nodeRank,
            gpus: gpus.length > 0 ? gpus : endpoint.gpus,
          },
        };
      }),
    );
}
