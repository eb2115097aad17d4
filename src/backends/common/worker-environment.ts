import { fillNode } from '../../recipe/values/fill-node.ts';
import { discoveryEnvironment } from './discovery.ts';
import { dynamoEnvironment, dynamoWorkerAddresses } from './dynamo-environment.ts';
import type { WorkerContext } from './protocol.ts';

/** Dynamo's push handlers log a line for each request at info. */
const DYNAMO_LOG = 'info,dynamo_runtime::pipeline::network::ingress::push_handler=warn';

/**
 * Environment of every worker of every engine: the addresses of the job's infrastructure, and the recipe's
 * variables.
 */
export function commonEnvironment(context: WorkerContext): Record<string, string> {
  const { recipe, runtime, roles, process } = context;
  return {
    HEAD_NODE_IP: runtime.address(roles.head),
    ...discoveryEnvironment(recipe, runtime, roles),
    DYN_SYSTEM_PORT: String(process.ports.system),
    ...dynamoEnvironment(recipe, process.mode),
    ...dynamoWorkerAddresses(recipe, runtime, process),
    DYN_LOG: DYNAMO_LOG,
    ...(runtime.hfHome !== null && recipe.model.path.startsWith('hf:') ? { HF_HOME: runtime.hfHome } : {}),
    ...fillIn(recipe.environment, context),
  };
}

/**
 * The visible devices of a process; unset when it has the whole node, because engines then find all devices.
 */
export function visibleDevices({ recipe, runtime, process }: WorkerContext): Record<string, string> {
  return process.gpus.length < recipe.resources.gpus_per_node
    ? { [runtime.visibleDevices]: process.gpus.join(',') }
    : {};
}

/** Replaces `{node}` and `{node_id}` in the values of an environment by the worker's own. */
export const fillIn = (
  env: Readonly<Record<string, string>>,
  { runtime, process: { node } }: WorkerContext,
): Record<string, string> => fillNode(env, runtime, node);
