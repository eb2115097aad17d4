import * as z from 'zod';
import type { ProbeSpec } from '../messages/spec/process-spec.ts';
import type { InstanceContext, ServiceProtocol } from './common/protocol.ts';

const port = z.number().int().min(1).max(65_535);
const optionsSchema = z.strictObject({
  port: port.default(6379).describe("port of the cluster's head"),
  dashboard_port: port.default(8265).describe('port of the dashboard, to which jobs are submitted'),
  num_gpus: z.number().int().positive().nullish().describe('GPUs of each node; by default all'),
});

/** The first start in a new container imports much. */
const START_TIMEOUT_S = 600;

/**
 * One Ray cluster over the nodes of the service: its first instance is the head, which the others join when it serves
 * its dashboard. A member is ready when the head lists it (GET /api/v0/nodes of Ray 2.x,
 * python/ray/dashboard/modules/state/state_head.py).
 */
export const ray: ServiceProtocol = {
  type: 'ray',
  summary: 'a Ray cluster over its nodes',
  options: optionsSchema,
  hasCommand: true,
  placement: 'workers',
  placements: ['workers', 'head', 'all'],
  start: 'before_workers',
  critical: true,
  firstLeads: true,
  command: (context) => {
    const { runtime, instance, instances } = context;
    const { num_gpus: gpus } = optionsSchema.parse(context.service.options);
    const { server, dashboard } = portsOf(context);
    const [first = instance] = instances;
    const common = [
      `--node-ip-address=${runtime.address(instance.node)}`,
      `--num-gpus=${runtime.hasGpus ? (gpus ?? context.recipe.resources.gpus_per_node) : 0}`,
      ...['--disable-usage-stats', '--block'],
    ];
    return instance.index === 0
      ? [
          ...['ray', 'start', '--head', `--port=${server}`],
          ...[`--dashboard-host=${runtime.listenAddress(instance.node)}`, `--dashboard-port=${dashboard}`],
          ...common,
        ]
      : ['ray', 'start', `--address=${runtime.address(first.node)}:${server}`, ...common];
  },
  environment: ({ recipe, runtime, service }) => {
    const { num_gpus: gpus } = optionsSchema.parse(service.options);
    const count = gpus ?? recipe.resources.gpus_per_node;
    return {
      // What Ray finds must be what --num-gpus says.
      ...(runtime.hasGpus
        ? { CUDA_VISIBLE_DEVICES: Array.from({ length: count }, (_, gpu) => gpu).join(',') }
        : {}),
      // Ray would kill workers of a program that moves its data to the host's memory on purpose.
      RAY_memory_monitor_refresh_ms: '0',
    };
  },
  ports: (context) => {
    const { server, dashboard } = portsOf(context);
    return context.instance.index === 0 ? { server, dashboard } : {};
  },
  probe: probeOf,
  startTimeoutS: START_TIMEOUT_S,
};

function portsOf({ runtime, service, instances, instance }: InstanceContext): {
  server: number;
  dashboard: number;
} {
  const { port: server, dashboard_port: dashboard } = optionsSchema.parse(service.options);
  const { node } = instances[0] ?? instance;
  return { server: runtime.port(node, server), dashboard: runtime.port(node, dashboard) };
}

function probeOf(context: InstanceContext): ProbeSpec {
  const { runtime, instance, instances } = context;
  const [first = instance] = instances;
  const at = { kind: 'http', host: runtime.address(first.node), port: portsOf(context).dashboard } as const;
  if (instance.index === 0) return { ...at, path: '/api/version' };
  const where = { node_ip: runtime.address(instance.node), state: 'ALIVE' };
  return {
    ...at,
    path: '/api/v0/nodes?limit=10000',
    expect: [{ at: ['data', 'result', 'result'], where, count: 1, label: 'of this Ray node' }],
  };
}
