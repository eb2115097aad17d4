import type { Endpoint, EndpointMode, EndpointProcess } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { Flags } from '../../recipe/values/flags.ts';
import type { PortAllocator } from '../../recipe/values/ports.ts';
import { processPerNode } from '../common/allocation.ts';
import { recipeMode } from '../common/protocol.ts';

/**
 * The distribution of vLLM's ranks over the nodes of an endpoint. `tensor`: no data parallelism, one process
 * on each node; `per_node`: one process for all data-parallel ranks of a node; `per_gpu`: one for each rank;
 * `spanning`: a rank is larger than a node, and one process on each node computes a part of it.
 */
export type Layout = { readonly kind: 'tensor' } | { readonly kind: 'spanning' } | DataParallel;

interface DataParallel {
  readonly kind: 'per_node' | 'per_gpu';
  /** Ranks on each node. */
  readonly local: number;
  /** Ranks in all. */
  readonly size: number;
  /** GPUs of a rank. */
  readonly each: number;
}

/** @throws PlanError when the parallel sizes of a mode do not make up the GPUs of its endpoint */
export function layoutOf(
  mode: EndpointMode,
  options: Flags,
  { nodes, gpus }: { readonly nodes: readonly string[]; readonly gpus: readonly number[] },
  launch: 'per_node' | 'per_gpu' | 'none',
): Layout {
  const size = parallel(mode, options, 'data-parallel-size');
  if (size === 1 || launch === 'none') return { kind: 'tensor' };
  const names = ['tensor-parallel-size', 'pipeline-parallel-size', 'prefill-context-parallel-size'];
  const each = names.reduce((product, name) => product * parallel(mode, options, name), 1);
  const there = nodes.length * gpus.length;
  if (size * each !== there) {
    const message = `data-parallel-size ${size} of ${each} GPUs each needs ${size * each} GPUs, and the worker has ${there}`;
    throw wrong(mode, 'data-parallel-size', message);
  }
  if (each > gpus.length && launch === 'per_node' && each % gpus.length === 0) return { kind: 'spanning' };
  if (gpus.length % each !== 0) {
    const message = `a data-parallel rank of ${each} GPUs does not fit the ${gpus.length} GPUs of a node`;
    throw wrong(mode, 'tensor-parallel-size', message);
  }
  return { kind: launch, local: gpus.length / each, size, each };
}

function parallel(mode: EndpointMode, options: Flags, name: string): number {
  const value = options[name] ?? 1;
  const size = Number(value);
  if (Number.isInteger(size) && size > 0) return size;
  throw wrong(mode, name, `${name} must be a positive whole number, and is ${JSON.stringify(value)}`);
}

const wrong = (mode: EndpointMode, name: string, message: string): PlanError =>
  new PlanError('parallel-size', message, {
    place: { file: '', path: `backend.vllm_config.${recipeMode(mode)}.${name}` },
  });

/** The processes of all endpoints, with the ports of each. */
export function processesOf(
  endpoints: readonly Endpoint[],
  ports: PortAllocator,
  layout: (endpoint: Endpoint) => Layout,
): EndpointProcess[] {
  return endpoints.flatMap((endpoint) => {
    const lies = layout(endpoint);
    return 'local' in lies ? dataParallel(endpoint, lies, ports) : processPerNode(endpoint, ports);
  });
}

/**
 * Ranks are counted over all nodes. vLLM adds the rank to the NIXL port, so all ranks of an endpoint get the
 * first one.
 */
function dataParallel(
  { mode, index, nodes, gpus }: Endpoint,
  { kind, local, size, each }: DataParallel,
  ports: PortAllocator,
): EndpointProcess[] {
  const first = ports.block(size);
  return nodes.flatMap((node, position) =>
    Array.from({ length: kind === 'per_node' ? 1 : local }, (_, own): EndpointProcess => {
      const rank = position * local + own;
      const serves = kind === 'per_node' || rank === 0;
      return {
        mode,
        index,
        node,
        rank,
        gpus: kind === 'per_node' ? gpus : gpus.slice(own * each, (own + 1) * each),
        ports: {
          http: serves ? ports.http(node) : 0,
          bootstrap: mode === 'prefill' && serves ? ports.bootstrap(node) : null,
          kvEvents: first.kvEvents + rank,
          nixl: first.nixl,
          ...ports.ofDynamo(),
        },
      };
    }),
  );
}
