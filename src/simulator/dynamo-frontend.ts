import { Arguments, bindAddress } from './argv.ts';
import { dispatch, type PrefillTarget } from './dispatch.ts';
import { etcdEndpoint, listPrefix } from './etcd.ts';
import { pathOf, readBody, sendJson, sendText, serve } from './http.ts';
import { policyOf, type Target } from './policy.ts';
import { INSTANCES, type Instance, instanceSchema } from './registry.ts';

const POLL_MS = 250;

interface Known extends Target {
  readonly instance: Instance;
  readonly bootstrap: { host: string; port: number };
}

/** Dynamo's frontend: its workers are whoever is registered in etcd. */
export async function runFrontend(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const port = args.integer(8_000, 'http-port');
  const host = bindAddress(args.text('http-host') ?? '0.0.0.0');
  const policy = policyOf(args.text('router-mode') === 'kv' ? 'kv' : args.text('router-mode'));
  const known = new Map<string, Known>();
  process.on('SIGTERM', () => process.exit(0));
  await serve(host, port, async (request, response) => {
    const all = [...known.values()];
    const path = pathOf(request);
    switch (path) {
      case '/health':
      case '/live':
        return sendJson(response, 200, healthOf(all));
      case '/metrics':
        return sendText(
          response,
          200,
          `dynamo_frontend_inflight_requests ${all.reduce((sum, each) => sum + each.load, 0)}\n`,
        );
      case '/v1/models': {
        const models = [
          ...new Set(
            all.filter((each) => each.instance.component === 'backend').map((each) => each.instance.model),
          ),
        ];
        return sendJson(response, 200, {
          object: 'list',
          data: models.map((id) => ({ id, object: 'model', owned_by: 'nvidia' })),
        });
      }
      case '/v1/completions':
      case '/v1/chat/completions': {
        const of = (mode: Instance['mode']): Known[] => all.filter((each) => each.instance.mode === mode);
        const prefill: PrefillTarget[] = of('prefill');
        const pool = { prefill, decode: of('decode'), regular: of('agg') };
        return dispatch(pool, { prefill: policy, decode: policy }, path, await readBody(request), response);
      }
      default:
        return sendJson(response, 404, { detail: 'Not Found' });
    }
  });
  process.stdout.write(`dynamo.frontend listens on ${host}:${port}, registry ${etcdEndpoint()}\n`);
  for (;;) {
    await refresh(known).catch((error: unknown) => process.stderr.write(`registry: ${String(error)}\n`));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function refresh(known: Map<string, Known>): Promise<void> {
  const found = await listPrefix(etcdEndpoint(), INSTANCES);
  for (const key of known.keys()) if (!found.has(key)) known.delete(key);
  for (const [key, value] of found) {
    const instance = instanceSchema.safeParse(value).data;
    if (!instance || known.has(key)) continue;
    const url = new URL(instance.transport.http);
    known.set(key, {
      instance,
      url,
      load: 0,
      bootstrap: instance.bootstrap ?? { host: url.hostname, port: 0 },
    });
    process.stdout.write(`found ${instance.component} ${instance.transport.http}\n`);
  }
}

const healthOf = (all: readonly Known[]): unknown => ({
  status: all.some((each) => each.instance.component === 'backend') ? 'healthy' : 'unhealthy',
  endpoints: [
    ...new Set(
      all.map(({ instance }) => `dyn://${instance.namespace}.${instance.component}.${instance.endpoint}`),
    ),
  ],
  instances: all.map(({ instance: { namespace, component, endpoint, instance_id, transport } }) => ({
    namespace,
    component,
    endpoint,
    instance_id,
    transport,
  })),
});
