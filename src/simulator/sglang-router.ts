import { get } from 'node:http';
import { Arguments, bindAddress } from './argv.ts';
import { dispatch, type PrefillTarget } from './dispatch.ts';
import { Fatal } from './fatal.ts';
import { pathOf, readBody, sendError, sendJson, sendText, serve } from './http.ts';
import { policyOf, type Target } from './policy.ts';
import { proxy, whenGone } from './upstream.ts';

const UNHEALTHY_POLL_MS = 250;
const HEALTHY_POLL_MS = 2_000;

interface Worker extends Target {
  readonly type: 'prefill' | 'decode' | 'regular';
  readonly bootstrap: { host: string; port: number };
  healthy: boolean;
}

const worker = (type: Worker['type'], text: string, bootstrapPort = 8_998): Worker => {
  const url = new URL(text);
  return { type, url, bootstrap: { host: url.hostname, port: bootstrapPort }, healthy: false, load: 0 };
};

/** SGLang's router: starts at once, finds out who is healthy, and spreads requests. */
export async function runRouter(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  const workers = workersOf(args);
  const host = bindAddress(args.text('host') ?? '127.0.0.1');
  const port = args.integer(30_000, 'port');
  const policies = {
    prefill: policyOf(args.text('prefill-policy') ?? args.text('policy')),
    decode: policyOf(args.text('decode-policy') ?? args.text('policy')),
  };
  process.on('SIGTERM', () => process.exit(0));
  await serve(host, port, async (request, response) => {
    const path = pathOf(request);
    const healthy = (type: Worker['type']): Worker[] =>
      workers.filter((each) => each.healthy && each.type === type);
    switch (path) {
      case '/health':
      case '/liveness':
        return sendText(response, 200, 'OK');
      case '/readiness': {
        const ready = workers.some((each) => each.healthy);
        return sendJson(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready' });
      }
      case '/workers':
        return sendJson(response, 200, listOf(workers));
      case '/list_workers':
        return sendJson(response, 200, { urls: workers.map((each) => each.url.origin) });
      case '/get_loads':
        return sendJson(response, 200, {
          workers: workers.map((each) => ({ worker: each.url.origin, load: each.load })),
        });
      case '/metrics':
        return sendText(response, 200, metricsOf(workers), 'text/plain; version=0.0.4');
    }
    if (request.method === 'POST') {
      const prefill: PrefillTarget[] = healthy('prefill');
      const pool = { prefill, decode: healthy('decode'), regular: healthy('regular') };
      return dispatch(pool, policies, path, await readBody(request), response);
    }
    const [any] = workers.filter((each) => each.healthy);
    if (!any) return sendError(response, 503, 'no available workers');
    return proxy({ url: any.url, method: 'GET', path, body: '', signal: whenGone(response) }, response, 502);
  });
  for (const each of workers) void watch(each);
  process.stdout.write(`Starting router on ${host}:${port} with ${workers.length} workers\n`);
}

function workersOf(args: Arguments): Worker[] {
  const prefill = args
    .every('prefill')
    .map(([url, bootstrap]) => worker('prefill', url ?? '', Number(bootstrap ?? 8_998)));
  const decode = args.every('decode').map(([url]) => worker('decode', url ?? ''));
  const regular = args.list('worker-urls').map((url) => worker('regular', url));
  if (!args.has('pd-disaggregation')) return regular;
  if (prefill.length === 0 || decode.length === 0)
    throw new Fatal('ValueError: --pd-disaggregation needs --prefill and --decode', { traceback: true });
  return [...prefill, ...decode];
}

async function watch(each: Worker): Promise<void> {
  for (;;) {
    const healthy = await isHealthy(each.url);
    if (healthy !== each.healthy)
      process.stdout.write(`worker ${each.url.origin} is ${healthy ? 'healthy' : 'not healthy'}\n`);
    each.healthy = healthy;
    await new Promise((resolve) => setTimeout(resolve, healthy ? HEALTHY_POLL_MS : UNHEALTHY_POLL_MS));
  }
}

function isHealthy(url: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(
      { host: url.hostname, port: url.port, path: '/health', agent: false, timeout: 5_000 },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode === 200));
        response.once('error', () => resolve(false));
      },
    );
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
  });
}

function listOf(workers: readonly Worker[]): unknown {
  const count = (type: Worker['type']): number => workers.filter((each) => each.type === type).length;
  return {
    workers: workers.map((each, index) => ({
      id: String(index),
      url: each.url.origin,
      model_id: 'unknown',
      priority: 50,
      cost: 1,
      worker_type: each.type,
      is_healthy: each.healthy,
      load: each.load,
      connection_mode: 'http',
      ...(each.type === 'prefill' ? { bootstrap_port: each.bootstrap.port } : {}),
    })),
    total: workers.length,
    stats: {
      prefill_count: count('prefill'),
      decode_count: count('decode'),
      regular_count: count('regular'),
    },
  };
}

const metricsOf = (workers: readonly Worker[]): string =>
  [
    `sgl_router_active_workers ${workers.filter((each) => each.healthy).length}`,
    ...workers.map((each) => `sgl_router_running_requests{worker="${each.url.origin}"} ${each.load}`),
    '',
  ].join('\n');
