import { mooncakePorts } from '../../backends/common/mooncake.ts';
import type { InstanceContext } from './protocol.ts';

/** Values of the placeholders that a service's command, environment and preamble may have. */
export function placeholdersOf(context: InstanceContext): Readonly<Record<string, string>> {
  const { recipe, runtime, roles, instance, instances } = context;
  const nodes = [...new Set(instances.map(({ node }) => node))];
  const first = nodes[0] ?? instance.node;
  const { rpc, metadata } = mooncakePorts(runtime, roles);
  const place = roles.workers.indexOf(instance.node);
  const { worker } = instance;
  return {
    node: runtime.host(instance.node),
    node_ip: runtime.address(instance.node),
    node_id: String(place < 0 ? instance.index : place),
    index: String(instance.index),
    role: placementName(context),
    head_node: runtime.host(roles.head),
    head_ip: runtime.address(roles.head),
    infra_node: runtime.host(roles.infra),
    infra_ip: runtime.address(roles.infra),
    master_port: String(rpc),
    metadata_port: String(metadata),
    gpus_per_node: String(recipe.resources.gpus_per_node),
    pool_node: runtime.host(first),
    pool_ip: runtime.address(first),
    pool_nodes: nodes.map((node) => runtime.host(node)).join(','),
    pool_ips: nodes.map((node) => runtime.address(node)).join(','),
    pool_node_count: String(nodes.length),
    ...(worker
      ? {
          worker_role: worker.role,
          worker_index: String(worker.index),
          worker_node_rank: String(worker.nodeRank),
          worker_gpus: worker.gpus.join(','),
          worker_gpu_count: String(worker.gpus.length),
        }
      : {}),
  };
}

/** `placement.node` of a service; `workers` for one with a pool, as the reference has it. */
function placementName({ service, roles, instance }: InstanceContext): string {
  const { placement, nodes } = service;
  if (nodes != null || placement?.pool != null) return 'workers';
  if (placement?.node != null) return placement.node;
  return instance.node === roles.head ? 'head' : 'workers';
}

/** Replaces known placeholders; other braces stay, because JSON and shells have them. */
export const filled = (text: string, values: Readonly<Record<string, string>>): string =>
  text.includes('{')
    ? text.replaceAll(/(?<!\$)\{([a-z_]+)\}/g, (all, name: string) =>
        Object.hasOwn(values, name) ? (values[name] ?? all) : all,
      )
    : text;
