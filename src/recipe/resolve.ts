import type { ClusterConfig } from './cluster.ts';
import { isPlain, type Plain } from './merge.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What surrounds a recipe, put into it: the cluster's default GPUs per node, its model and container aliases, and
 * environment variables in paths. Variables that are not set stay as they are written.
 */
export function resolveRecipe(value: Plain, cluster: ClusterConfig, env: Environment): Plain {
  const expand = (part: unknown) => expandVariables(part, env);
  const image = (part: unknown) => alias(expand(part), cluster.containers);
  const resolved: Plain = { ...value };
  if (isPlain(value.model)) {
    const { path, container } = value.model;
    resolved.model = {
      ...value.model,
      ...(path === undefined ? {} : { path: alias(expand(path), cluster.model_paths) }),
      ...(container === undefined ? {} : { container: image(container) }),
    };
  }
  if (isPlain(value.resources)) {
    const fallback = cluster.gpus_per_node == null ? {} : { gpus_per_node: cluster.gpus_per_node };
    resolved.resources = { ...fallback, ...value.resources };
  }
  if (isPlain(value.frontend) && value.frontend.nginx_container !== undefined) {
    resolved.frontend = { ...value.frontend, nginx_container: image(value.frontend.nginx_container) };
  }
  for (const section of ['environment', 'extra_mount', 'container_mounts', 'setup_script']) {
    if (value[section] !== undefined) resolved[section] = expand(value[section]);
  }
  return resolved;
}

function alias(name: unknown, aliases: ClusterConfig['model_paths']): unknown {
  return typeof name === 'string' && aliases && Object.hasOwn(aliases, name) ? aliases[name] : name;
}

const VARIABLE = /\$(?:\{(\w+)\}|(\w+))/g;

function expandVariables(part: unknown, env: Environment): unknown {
  if (typeof part === 'string') {
    return part.replaceAll(VARIABLE, (text, braced: string, bare: string) => env[braced ?? bare] ?? text);
  }
  if (Array.isArray(part)) return part.map((item) => expandVariables(item, env));
  if (!isPlain(part)) return part;
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, expandVariables(value, env)]));
}
