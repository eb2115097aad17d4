import { fillNode } from '../../recipe/values/fill-node.ts';
import { dynamoEnvironment, dynamoWorkerAddresses } from './dynamo-environment.ts';
import type { WorkerContext } from './protocol.ts';

/** Push handlers of Dynamo log a line per request at info. */
const DYNAMO_LOG = 'info,dynamo_runtime::pipeline::network::ingress::push_handler=warn';

/** What every worker is told, whichever engine it is: where the job's infrastructure is, and what the recipe tells all. */
export function commonEnvironment(context: WorkerContext): Record<string, string> {
  const { recipe, runtime, roles, process } = context;
  const infra = runtime.host(roles.infra);
  return {
    HEAD_NODE_IP: runtime.address(roles.head),
    ETCD_ENDPOINTS: `http://${infra}:${runtime.infraPorts.etcdClient}`,
    NATS_SERVER: `nats://${infra}:${runtime.infraPorts.nats}`,
    DYN_SYSTEM_PORT: String(process.ports.system),
    ...dynamoEnvironment(recipe, process.mode),
    ...dynamoWorkerAddresses(recipe, runtime, process),
    DYN_LOG: DYNAMO_LOG,
    ...(runtime.hfHome !== null && recipe.model.path.startsWith('hf:') ? { HF_HOME: runtime.hfHome } : {}),
    ...fillIn(recipe.environment, context),
  };
}

/** Which devices a process may see; nothing when it has the whole node, as engines then find them all. */
export function visibleDevices({ recipe, process }: WorkerContext): Record<string, string> {
  return process.gpus.length < recipe.resources.gpus_per_node
    ? { CUDA_VISIBLE_DEVICES: process.gpus.join(',') }
    : {};
}

/** `{node}` and `{node_id}` in the values of an environment are the worker's own. */
export const fillIn = (
  env: Readonly<Record<string, string>>,
  { runtime, process: { node } }: WorkerContext,
): Record<string, string> => fillNode(env, runtime, node);
