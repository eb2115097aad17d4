import type { ClusterConfig } from './schema/cluster.ts';
import { isPlain, type Plain } from './values/merge.ts';
import { expandHome } from './values/mount-path.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Completes a recipe: the cluster's default GPUs per node, its model and container aliases, and environment
 * variables in paths. Unset variables stay unchanged.
 */
export function resolveRecipe(value: Plain, cluster: ClusterConfig, env: Environment): Plain {
  const expand = (part: unknown) => expandVariables(part, env);
  const image = (part: unknown) => alias(expand(part), cluster.containers);
  // An empty section counts as omitted.
  const resolved: Plain = Object.fromEntries(Object.entries(value).filter(([, part]) => part !== null));
  if (isPlain(value.model)) {
    const { path, container } = value.model;
    resolved.model = {
      ...value.model,
      ...(path === undefined ? {} : { path: alias(expand(path), cluster.model_paths) }),
      ...(container === undefined ? {} : { container: image(container) }),
    };
  }
  if (isPlain(value.resources)) {
    resolved.resources = withFallback(value.resources, {
      gpus_per_node: cluster.gpus_per_node,
      gpu_type: cluster.default_gpu_type,
      het_jobs: cluster.use_het_jobs && hasBothKinds(value.resources) ? true : undefined,
    });
  }
  const nginx = alias('nginx', cluster.containers);
  if (isOpen(value.frontend)) {
    const { nginx_container: own, container_image: routers, ...frontend } = plainOr(value.frontend);
    resolved.frontend = withFallback(
      {
        ...frontend,
        ...(routers === undefined ? {} : { container_image: image(routers) }),
        nginx_container: own == null ? nginx : image(own),
      },
      { nginx_raise_ulimit: cluster.nginx_raise_ulimit },
    );
  }
  if (isPlain(value.backend) && value.backend.prefill_container != null)
    resolved.backend = { ...value.backend, prefill_container: image(value.backend.prefill_container) };
  if (isPlain(value.roles)) {
    const roles = Object.entries(value.roles).map(([mode, role]) => [
      mode,
      isPlain(role) && role.container != null ? { ...role, container: image(role.container) } : role,
    ]);
    resolved.roles = Object.fromEntries(roles);
  }
  if (isPlain(value.benchmark) && typeof value.benchmark.container_image === 'string') {
    resolved.benchmark = { ...value.benchmark, container_image: image(value.benchmark.container_image) };
  }
  if (Array.isArray(value.services))
    resolved.services = value.services.map((service: unknown) =>
      isPlain(service) && typeof service.container === 'string'
        ? { ...service, container: image(service.container) }
        : service,
    );
  if (cluster.default_health_check && isOpen(value.health_check)) {
    resolved.health_check = withFallback(plainOr(value.health_check), cluster.default_health_check);
  }
  if (cluster.default_supervision && isOpen(value.supervision)) {
    resolved.supervision = withFallback(plainOr(value.supervision), cluster.default_supervision);
  }
  if (cluster.default_host_setup) resolved.host_setup ??= cluster.default_host_setup;
  if (cluster.reporting) resolved.reporting ??= cluster.reporting;
  for (const section of ['environment', 'extra_mount', 'container_mounts', 'setup_script']) {
    if (value[section] !== undefined) resolved[section] = expand(value[section]);
  }
  for (const section of ['extra_mount', 'container_mounts'])
    if (resolved[section] !== undefined) resolved[section] = expandHome(resolved[section], env.HOME);
  return resolved;
}

/** Whether defaults can be added to a section: any other value is left for the error message. */
const isOpen = (section: unknown): boolean => section == null || isPlain(section);

const plainOr = (value: unknown): Plain => (isPlain(value) ? value : {});

/** Fills omitted or empty keys of `value` from the cluster. */
function withFallback(value: Plain, fallback: Readonly<Record<string, unknown>>): Plain {
  const left = Object.entries(fallback).filter(([key, other]) => other != null && value[key] == null);
  return { ...value, ...Object.fromEntries(left) };
}

const hasBothKinds = ({ prefill_nodes: prefill, decode_nodes: decode }: Plain): boolean =>
  Number(prefill) > 0 && Number(decode) > 0;

function alias(name: unknown, aliases: ClusterConfig['model_paths']): unknown {
  return typeof name === 'string' && aliases && Object.hasOwn(aliases, name) ? aliases[name] : name;
}

const VARIABLE = /\$(?:\{(\w+)\}|(\w+))/g;

/** Expands `$NAME` and `${NAME}` in a text; unset variables stay unchanged. */
export const expandText = (text: string, env: Environment): string =>
  text.replaceAll(VARIABLE, (all, braced: string, bare: string) => env[braced ?? bare] ?? all);

function expandVariables(part: unknown, env: Environment): unknown {
  if (typeof part === 'string') return expandText(part, env);
  if (Array.isArray(part)) return part.map((item) => expandVariables(item, env));
  if (!isPlain(part)) return part;
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, expandVariables(value, env)]));
}
