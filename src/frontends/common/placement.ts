import { PUBLIC_PORT } from '../../recipe/values/ports.ts';
import type { FrontendContext } from './protocol.ts';

/** A router's port behind nginx. */
const ROUTER_PORT = 8180;

/** The nodes and the port of the routers, and whether nginx is in front of them. */
export interface Placement {
  readonly routers: readonly { readonly node: string; readonly port: number }[];
  readonly nginx: { readonly node: string; readonly port: number } | null;
}

/**
 * On one node, or when a recipe wants a single router, the router is on the head. Otherwise the head has
 * nginx, and the next nodes have a router each, as many as the recipe says (one and the additional ones) and
 * nodes there are.
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

/** The address for clients' requests when a node's own process is the entry. */
export const entryOn = (
  { runtime }: Pick<FrontendContext, 'runtime'>,
  node: string,
): { node: string; port: number } => ({ node, port: runtime.port(node, PUBLIC_PORT) });

/** The port in the recipe's own router options, which override ours because the last one counts. */
function chosenPort({ frontend: { args } }: FrontendContext['recipe']): number | undefined {
  for (const [name, value] of Object.entries(args)) {
    const port = Number(value);
    if (/^(http[-_])?port$/.test(name) && Number.isInteger(port) && port > 0) return port;
  }
  return undefined;
}
