import * as z from 'zod';
import { areProxied, proxyPort } from '../frontends/llm-d/sidecar.ts';
import type { EndpointProcess } from '../model/kinds.ts';
import type { InstanceContext, ServiceProtocol } from './common/protocol.ts';

/**
 * llm-d's sidecar in front of each decode worker (llm-d-router, cmd/pd-sidecar): it has the prefill worker that the router
 * names answer first, and gives its worker the place of that KV cache. Its /health is about itself, so it starts before
 * the workers.
 */
export const llmdSidecar: ServiceProtocol = {
  type: 'llm-d-sidecar',
  summary: "llm-d's sidecar in front of a decode worker, which a llm-d frontend implies",
  options: z.strictObject({}),
  hasCommand: true,
  placement: 'decode',
  placements: ['decode'],
  perWorker: true,
  leadersAlone: true,
  start: 'before_workers',
  critical: true,
  engines: ['vllm'],
  image: ({ recipe, runtime }) => recipe.frontend.container_image ?? runtime.image,
  command: (context) => [
    ...['pd-sidecar', `--port=${portOf(context)}`, `--model-server-port=${workerOf(context)?.ports.http}`],
    // NIXL is the only connector whose protocol llm-d and srtctl both have.
    ...['--kv-connector=nixlv2', '--secure-proxy=false'],
  ],
  ports: (context) => (areProxied(context.workers) ? { proxy: portOf(context) } : {}),
  probe: (context) => ({
    ...{ kind: 'http', host: context.runtime.address(context.instance.node) },
    ...{ port: portOf(context), path: '/health' },
  }),
};

const workerOf = ({ workers, instance }: InstanceContext): EndpointProcess | undefined =>
  workers.find(
    ({ mode, index, rank }) =>
      rank === 0 && mode === instance.worker?.role && index === instance.worker.index,
  );

const portOf = (context: InstanceContext): number => {
  const worker = workerOf(context);
  return worker ? proxyPort(context.runtime, context.workers, worker) : 0;
};
