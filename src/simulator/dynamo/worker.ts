import { randomInt } from 'node:crypto';
import { setting } from '../common/argv.ts';
import { etcdEndpoint, type Registration, register } from '../common/etcd.ts';
import { Fatal } from '../common/fatal.ts';
import { pathOf, sendText, serve } from '../common/http.ts';
import { entriesOf, type Instance } from '../common/registry.ts';
import type { EngineOptions } from '../engine/engine-options.ts';

/** The parts of a Dynamo worker beside its engine: an entry in the registry and a status server. */
export interface WorkerState {
  readonly ready: boolean;
  metrics(): string;
}

/**
 * Where the worker takes requests: on the request plane's port when that is TCP, else on the engine's own
 * port.
 */
export function requestPlace({ host, port }: Pick<EngineOptions, 'host' | 'port'>): {
  host: string;
  port: number;
} {
  const { DYN_REQUEST_PLANE: plane = 'tcp', DYN_TCP_RPC_HOST: rpcHost } = process.env;
  const rpcPort = setting('DYN_TCP_RPC_PORT', 0);
  return plane === 'tcp' && rpcPort > 0 ? { host: rpcHost ?? host, port: rpcPort } : { host, port };
}

/**
 * Dynamo's system status server, on every rank. With an engine the worker registers a sample request and
 * reports `ready`. The mocker registers none, so it answers HTTP 503 and `notready` for ever, with its
 * registered endpoints.
 */
export async function serveStatus(
  { host }: Pick<EngineOptions, 'host'>,
  worker: WorkerState,
  isMocker: boolean,
): Promise<void> {
  const port = setting('DYN_SYSTEM_PORT', 0);
  if (port === 0) return;
  const begin = performance.now();
  const query = `worker_kv_query_source_${randomInt(2 ** 47).toString(16)}`;
  await serve(process.env.DYN_SYSTEM_HOST ?? host, port, (request, response) => {
    switch (pathOf(request)) {
      case '/health':
      case '/live': {
        const ms = performance.now() - begin;
        const uptime = { secs: Math.floor(ms / 1_000), nanos: Math.floor((ms % 1_000) * 1e6) };
        const isReady = worker.ready && !isMocker;
        const endpoints = worker.ready ? { [query]: 'ready', generate: 'ready' } : {};
        const body = { status: isReady ? 'ready' : 'notready', uptime, endpoints };
        return sendText(response, isReady ? 200 : 503, JSON.stringify(body), 'text/plain; charset=utf-8');
      }
      case '/metrics':
        return sendText(response, 200, worker.metrics(), 'text/plain; charset=utf-8');
      default:
        return sendText(response, 404, 'Route not found', 'text/plain; charset=utf-8');
    }
  });
}

/** What others must know of a worker. */
type Registered = Pick<EngineOptions, 'host' | 'port' | 'mode' | 'bootstrapPort' | 'servedModel'>;

/** @param count workers in this process */
export async function registerInstances(
  options: Registered,
  count: number,
  onLost: (error: Error) => void,
): Promise<Registration> {
  try {
    const registrations = await Promise.all(
      Array.from({ length: count }, () => register(etcdEndpoint(), entriesOf(instanceOf(options)), onLost)),
    );
    return { revoke: async () => void (await Promise.all(registrations.map((each) => each.revoke()))) };
  } catch (error) {
    throw new Fatal(`Exception: cannot register with etcd at ${etcdEndpoint()}: ${String(error)}`, {
      traceback: true,
    });
  }
}

function instanceOf({ host, port, mode, bootstrapPort, servedModel }: Registered): Instance {
  const [namespace, component, endpoint] = [
    process.env.DYN_NAMESPACE ?? 'dynamo',
    mode === 'prefill' ? 'prefill' : 'backend',
    'generate',
  ];
  const id = randomInt(2 ** 47);
  const path = `${id.toString(16)}/${namespace}/${component}/${endpoint}`;
  return {
    type: 'Endpoint',
    ...{ component, endpoint, namespace, instance_id: id },
    transport:
      process.env.DYN_REQUEST_PLANE === 'nats'
        ? { nats_tcp: `${namespace}_${component}.${endpoint}-${id.toString(16)}` }
        : { tcp: `${host}:${port}/${path}` },
    device_type: 'cuda',
    request_plane_codec: 'msgpack',
    stand_in: {
      url: `http://${host}:${port}`,
      model: servedModel,
      mode,
      bootstrap: mode === 'prefill' ? { host, port: bootstrapPort } : null,
    },
  };
}
