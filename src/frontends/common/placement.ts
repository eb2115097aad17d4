import { PUBLIC_PORT } from '../../recipe/values/public-port.ts';
import type { FrontendContext } from './protocol.ts';

/** Where a router listens behind nginx. */
const ROUTER_PORT = 8180;

/** Which nodes have a router, on which port, and whether nginx stands before them. */
export interface Placement {
  readonly routers: readonly { readonly node: string; readonly port: number }[];
  readonly nginx: { readonly node: string; readonly port: number } | null;
}

/**
 * With one node, or when a recipe wants a single router, it is on the head. Otherwise the head has nginx, and the
 * nodes after it have a router each, as many as the recipe says (one and the additional ones) and nodes there are.
 */
export function placeFrontends({ recipe, roles, runtime }: FrontendContext): Placement {
  const { head, workers } = roles;
  const others = workers.filter((node) => node !== head);
  const { enable_multiple_frontends: several, num_additional_frontends: additional } = recipe.frontend;
  const chosen = chosenPort(recipe);
  const entry = { node: head, port: runtime.port(head, PUBLIC_PORT) };
  if (!several || others.length === 0)
    return { routers: [{ node: head, port: chosen ?? entry.port }], nginx: null };
  const routers = others
    .slice(0, 1 + additional)
    .map((node) => ({ node, port: chosen ?? runtime.port(node, ROUTER_PORT) }));
  return { routers, nginx: entry };
}

export function entryOf(context: FrontendContext): { node: string; port: number } {
  const { routers, nginx } = placeFrontends(context);
  return nginx ?? routers[0] ?? entryOn(context, context.roles.head);
}

/** Where clients send their requests when a node's own process is the entry. */
export const entryOn = (
  { runtime }: Pick<FrontendContext, 'runtime'>,
  node: string,
): { node: string; port: number } => ({ node, port: runtime.port(node, PUBLIC_PORT) });

/** The port that a recipe gives its routers itself: options of a recipe come after ours, and the last one counts. */
function chosenPort({ frontend: { args } }: FrontendContext['recipe']): number | undefined {
  for (const [name, value] of Object.entries(args)) {
    const port = Number(value);
    if (/^(http[-_])?port$/.test(name) && Number.isInteger(port) && port > 0) return port;
  }
  return undefined;
}
