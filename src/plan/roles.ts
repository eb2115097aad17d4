import type { Endpoint, Roles } from '../model/kinds.ts';
import { PlanError } from '../os/errors.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { poolNodes, poolSizes } from '../services/plan.ts';

/** Roles that may have a node of their own, in the order in which nodes are set aside. */
type Reserved = 'infra' | 'frontend' | 'client';

function reservedRoles({ infra, frontend, benchmark, services }: Placed): Reserved[] {
  const isDedicated = services?.some(
    ({ enabled, external, placement }) => enabled && external == null && placement?.node === 'dedicated',
  );
  const wanted: [Reserved, boolean][] = [
    ['infra', infra.etcd_nats_dedicated_node || isDedicated === true],
    ['frontend', frontend.dedicated_node],
    ['client', benchmark.client_dedicated_node],
  ];
  return wanted.flatMap(([role, own]) => (own ? [role] : []));
}

/**
 * The placement fields of a benchmark, which matter to all processes; its other fields only concern itself.
 */
export const placementOf = ({
  client_dedicated_node,
  client_placement,
  colocate_with_frontend,
  clients,
}: Recipe['benchmark']) => ({
  ...{ client_dedicated_node, client_placement, colocate_with_frontend },
  // Others share nodes with workers, and change nothing about these.
  ...(client_dedicated_node && (clients ?? 1) > 1 ? { clients } : {}),
});

type Placed = Omit<Recipe, 'benchmark'> & {
  readonly benchmark: Pick<
    Recipe['benchmark'],
    'client_dedicated_node' | 'client_placement' | 'colocate_with_frontend'
  > &
    Partial<Pick<Recipe['benchmark'], 'clients'>>;
};

/** Whether etcd and NATS have a node of their own. */
export const hasInfraNode = (recipe: Placed): boolean => reservedRoles(recipe).includes('infra');

/** Nodes for infrastructure, router or benchmark alone, besides those of the workers. */
export function extraNodes(recipe: Placed): number {
  const { length } = reservedRoles(recipe);
  return (recipe.benchmark.colocate_with_frontend ? Math.min(1, length) : length) + furtherClients(recipe);
}

/** Nodes for benchmark clients alone, beside the first one's. */
const furtherClients = ({ benchmark: { client_dedicated_node: isDedicated, clients } }: Placed): number =>
  isDedicated ? (clients ?? 1) - 1 : 0;

/**
 * Assigns roles to nodes. Nodes set aside are the first ones, except that the benchmark's is the last: the
 * coordinator runs on the first node, and must not disturb the measurement; those of further clients precede it. The head is the router's own
 * node, or the first worker node. The pools of services follow the workers' nodes. Nodes beyond the recipe's need stay idle.
 */
export function assignRoles(recipe: Placed, nodes: readonly string[], workersNeeded: number): Roles {
  const extra = extraNodes(recipe);
  const needed = extra + workersNeeded + poolNodes(recipe);
  const mine = nodes.slice(0, needed);
  const roles = reservedRoles(recipe);
  const further = furtherClients(recipe);
  const atEnd = roles.includes('client') ? 1 + further : 0;
  const free = mine.slice(extra - atEnd, mine.length - atEnd);
  const workers = free.slice(0, workersNeeded);
  const [first] = free;
  if (first === undefined || mine.length < needed) {
    throw new PlanError('too-few-nodes', `needs ${needed} nodes, but the allocation has ${nodes.length}`, {
      place: { file: '', path: 'resources' },
    });
  }
  const shared = recipe.benchmark.colocate_with_frontend;
  const last = mine.at(-1) ?? first;
  const nodeOf = (role: Reserved): string | undefined => {
    if (!roles.includes(role)) return undefined;
    if (role === 'client' || (shared && atEnd)) return last;
    return shared ? mine[0] : mine[roles.indexOf(role)];
  };
  const head = nodeOf('frontend') ?? first;
  const pools = poolsOf(poolSizes(recipe), free.slice(workersNeeded));
  const bench = nodeOf('client') ?? head;
  const clients = further > 0 ? { clients: mine.slice(-1 - further, -1) } : {};
  return { head, infra: nodeOf('infra') ?? head, bench, ...clients, workers, pools };
}

function poolsOf(sizes: readonly [string, number][], nodes: readonly string[]): Roles['pools'] {
  let from = 0;
  return Object.fromEntries(
    sizes.map(([name, size]) => {
      from += size;
      return [name, nodes.slice(from - size, from)];
    }),
  );
}

/** Roles that depend on the placement of the workers: the benchmark may run beside the last decode worker. */
export function afterPlacement(recipe: Placed, roles: Roles, endpoints: readonly Endpoint[]): Roles {
  if (recipe.benchmark.client_placement !== 'last_decode') return roles;
  const decode = endpoints.filter(({ mode }) => mode === 'decode');
  return { ...roles, bench: decode.at(-1)?.nodes[0] ?? roles.bench };
}
