import { PUBLIC_PORT } from '../public-port.ts';
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
export function placeFrontends({ recipe, roles }: FrontendContext): Placement {
  const { head, workers } = roles;
  const others = workers.filter((node) => node !== head);
  const { enable_multiple_frontends: several, num_additional_frontends: additional } = recipe.frontend;
  if (!several || others.length === 0) return { routers: [{ node: head, port: PUBLIC_PORT }], nginx: null };
  const routers = others.slice(0, 1 + additional).map((node) => ({ node, port: ROUTER_PORT }));
  return { routers, nginx: { node: head, port: PUBLIC_PORT } };
}

export function entryOf(context: FrontendContext): { node: string; port: number } {
  const { routers, nginx } = placeFrontends(context);
  return nginx ?? routers[0] ?? { node: context.roles.head, port: PUBLIC_PORT };
}
