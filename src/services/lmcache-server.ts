import * as z from 'zod';
import type { InstanceContext, ServiceProtocol } from './common/protocol.ts';

const PORT = 8750;
const HTTP_PORT = 8751;

export const lmcachePorts = ({
  runtime,
  instance: { node },
}: Pick<InstanceContext, 'runtime' | 'instance'>) => ({
  server: runtime.port(node, PORT),
  http: runtime.port(node, HTTP_PORT),
});

/**
 * LMCache's server, which the vLLM workers of its node share (LMCache 0.4, lmcache/cli/commands/server.py). It pins the
 * memory of its first level when it starts.
 */
export const lmcacheServer: ServiceProtocol = {
  type: 'lmcache-server',
  summary: "LMCache's server, which the workers of a node share",
  options: z.strictObject({}),
  hasCommand: true,
  placement: 'workers',
  start: 'before_workers',
  critical: true,
  command: (context) => {
    const { runtime, instance } = context;
    const { server, http } = lmcachePorts(context);
    const host = runtime.listenAddress(instance.node);
    return [
      ...['lmcache', 'server', '--host', host, '--port', String(server)],
      ...['--http-host', host, '--http-port', String(http)],
    ];
  },
  ports: lmcachePorts,
  probe: (context) => ({
    ...{ kind: 'http', host: context.runtime.address(context.instance.node), path: '/healthcheck' },
    port: lmcachePorts(context).http,
  }),
  startTimeoutS: 300,
};
