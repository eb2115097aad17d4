import { dynamoEnvironment } from '../recipe/dynamo-environment.ts';
import type { WorkerContext } from './protocol.ts';

/** Push handlers of Dynamo log a line per request at info. */
const DYNAMO_LOG = 'info,dynamo_runtime::pipeline::network::ingress::push_handler=warn';

/** What every worker is told, whichever engine it is: where the job's infrastructure is, and which GPUs are its own. */
export function commonEnvironment({
  recipe,
  runtime,
  roles,
  process,
}: WorkerContext): Record<string, string> {
  const infra = runtime.host(roles.infra);
  return {
    HEAD_NODE_IP: runtime.address(roles.head),
    ETCD_ENDPOINTS: `http://${infra}:${runtime.infraPorts.etcdClient}`,
    NATS_SERVER: `nats://${infra}:${runtime.infraPorts.nats}`,
    DYN_SYSTEM_PORT: String(process.ports.system),
    ...dynamoEnvironment(recipe, process.mode),
    DYN_LOG: DYNAMO_LOG,
  };
}

/** Which devices a process may see; nothing when it has the whole node, as engines then find them all. */
export function visibleDevices({ recipe, process }: WorkerContext): Record<string, string> {
  return process.gpus.length < recipe.resources.gpus_per_node
    ? { CUDA_VISIBLE_DEVICES: process.gpus.join(',') }
    : {};
}

/** `{node}` and `{node_id}` in the values of a mode's environment are the worker's own. */
export function fillIn(
  env: Readonly<Record<string, string>>,
  { runtime, process: { node } }: WorkerContext,
): Record<string, string> {
  const own: Record<string, string> = {
    node: runtime.host(node),
    node_id: String(runtime.nodes.indexOf(node)),
  };
  return Object.fromEntries(
    Object.entries(env).map(([key, value]) => [
      key,
      value.replaceAll(/(?<!\$)\{(\w+)\}/g, (text, name: string) => own[name] ?? text),
    ]),
  );
}
