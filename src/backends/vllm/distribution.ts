import type { EndpointMode } from '../../model/kinds.ts';
import { dataParallelRpcPort } from '../../recipe/values/ports.ts';
import type { WorkerContext } from '../common/protocol.ts';
import { configOf, isServer, layoutAt, nodesOf, optionsOf } from './context.ts';
import { failoverArguments } from './failover.ts';

/**
 * torch.distributed's port on the first node, unless the recipe sets another one (vllm/engine/arg_utils.py,
 * master_port).
 */
const MASTER_PORT = 29_501;

/**
 * The port on which the first rank of an endpoint waits for the others; two jobs on a node must not share it.
 */
export function meetingPorts(context: WorkerContext): Record<string, number | null> {
  const { recipe, process, ranks } = context;
  if (process.rank !== 0 || ranks.length < 2) return {};
  const argv = isServer(recipe) ? multiNode(context) : distribution(context);
  const rpc = argv.indexOf('--data-parallel-rpc-port');
  const { failover } = configOf(recipe);
  const options = optionsOf(recipe, process.mode);
  const master = failover
    ? Number(failoverArguments(context, options).at(-1))
    : Number(options['master-port'] ?? MASTER_PORT);
  return {
    ...(rpc < 0 ? {} : { dpRpc: Number(argv[rpc + 1]) }),
    ...(argv.includes('--master-addr') ? { master } : {}),
  };
}

export function distribution(context: WorkerContext): string[] {
  const { process, ranks } = context;
  const layout = layoutAt(context);
  if (layout.kind === 'tensor') return ranks.length > 1 ? multiNode(context) : [];
  if (layout.kind === 'spanning') return multiNode(context, true);
  const where =
    layout.kind === 'per_gpu'
      ? ['--data-parallel-rank', String(process.rank)]
      : [
          ...['--data-parallel-size-local', String(layout.local)],
          ...['--data-parallel-start-rank', String(process.rank)],
        ];
  return [
    ...where,
    ...meeting(context),
    // Every node's process registers with Dynamo and takes requests for its own ranks.
    ...(layout.kind === 'per_node' ? ['--data-parallel-hybrid-lb'] : []),
  ];
}

export function multiNode(context: WorkerContext, dataParallel = false): string[] {
  const { runtime, process, ranks } = context;
  const nodes = nodesOf(ranks);
  const rank = nodes.indexOf(process.node);
  return [
    ...['--master-addr', runtime.address(nodes[0] ?? process.node)],
    ...['--nnodes', String(nodes.length), '--node-rank', String(rank)],
    ...(dataParallel ? meeting(context) : []),
    ...(rank > 0 ? ['--headless'] : []),
  ];
}

/**
 * The meeting port of an endpoint's data-parallel ranks. Endpoints with the same leading node have different
 * ports.
 */
function meeting({ recipe, runtime, process, ranks, all }: WorkerContext): string[] {
  const leader = ranks[0] ?? process;
  const isParallel = (mode: EndpointMode) => Number(optionsOf(recipe, mode)['data-parallel-size'] ?? 1) > 1;
  const led = all.filter((one) => one.rank === 0 && one.node === leader.node && isParallel(one.mode));
  const index = led.findIndex((one) => one.mode === leader.mode && one.index === leader.index);
  return [
    ...['--data-parallel-address', runtime.address(leader.node)],
    ...['--data-parallel-rpc-port', String(runtime.port(leader.node, dataParallelRpcPort(index)))],
  ];
}
