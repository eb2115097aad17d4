import type { IncomingMessage, ServerResponse } from 'node:http';
import { Arguments, bindAddress } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import { pathOf, readBody, sendText, serve } from '../common/http.ts';
import {
  notFound,
  type RouterKind,
  readAsked,
  refuse,
  requestId,
  sendObject,
  sendPlain,
  wrongMethod,
} from './answers.ts';
import { type Forwarding, forward, forwardBoth, forwardInTurn } from './forward.ts';
import { METRICS } from './metrics.ts';
import { checkOptions } from './options.ts';
import { policyOf } from './policy.ts';
import { send as sendUpstream, whenGone } from './upstream.ts';
import { ask, type PlannedWorker, say, usable, type Worker, Workers } from './workers.ts';

const GENERATES = new Set(['/v1/completions', '/v1/chat/completions', '/generate']);
/** From SIGTERM to the end: smg waits for load balancers to notice. */
const SHUTDOWN_MS: Readonly<Record<RouterKind, number>> = { sglang: 300, smg: 5_000, vllm: 300 };

/** Python modules of the routers. */
export const routerKinds: Readonly<Record<string, RouterKind>> = {
  'sglang_router.launch_router': 'sglang',
  'smg.launch_router': 'smg',
  'vllm_router.launch_router': 'vllm',
};

/** A router with a fixed list of workers: SGLang's, smg's or vLLM's. */
export async function runRouter(kind: RouterKind, argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  checkOptions(kind, argv, args);
  const isDisaggregated = args.has('pd-disaggregation', 'vllm-pd-disaggregation');
  const planned = plannedWorkers(args, isDisaggregated);
  const host = bindAddress(args.text('host') ?? '127.0.0.1');
  const port = args.integer(30_000, 'port');
  const workers = new Workers(kind, args);
  const policies = {
    prefill: policyOf(args.text('prefill-policy') ?? args.text('policy') ?? 'cache_aware'),
    decode: policyOf(args.text('decode-policy') ?? args.text('policy') ?? 'cache_aware'),
  };
  const forwarding: Forwarding = { kind, workers, policies, isDisaggregated };
  process.on('SIGTERM', () => setTimeout(() => process.exit(0), SHUTDOWN_MS[kind]));
  await serve(bindAddress('0.0.0.0'), args.integer(29_000, 'prometheus-port'), (_, response) =>
    sendText(
      response,
      200,
      METRICS[kind],
      kind === 'smg' ? 'text/plain; version=0.0.4; charset=utf-8' : 'text/plain',
    ),
  );
  const adding = planned.map((each) => workers.add(each));
  if (kind === 'vllm' && !(await Promise.all(adding)).every(Boolean))
    throw new Fatal('Exception: Timeout waiting for workers to become healthy', { traceback: true });
  await serve(host, port, (request, response) => answer(forwarding, request, response));
  say('INFO', `Starting router on ${host}:${port} with ${planned.length} workers`);
}

function plannedWorkers(args: Arguments, isDisaggregated: boolean): PlannedWorker[] {
  const of = (type: PlannedWorker['type'], url: string, port: string | undefined = undefined) => ({
    ...{ type, url: new URL(url) },
    bootstrapPort: port === undefined || port === 'none' ? null : Number(port),
  });
  if (!isDisaggregated) return args.list('worker-urls').map((url) => of('regular', url));
  const prefill = args.every('prefill').map(([url = '', port]) => of('prefill', url, port));
  const decode = args.every('decode').map(([url = '']) => of('decode', url));
  if (prefill.length === 0 || decode.length === 0)
    throw new Fatal('ValueError: PD disaggregation mode requires --prefill and --decode', {
      traceback: true,
    });
  return [...prefill, ...decode];
}

async function answer(
  forwarding: Forwarding,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { kind, workers, isDisaggregated } = forwarding;
  const path = pathOf(request);
  const method = request.method ?? 'GET';
  if (GENERATES.has(path)) {
    if (method !== 'POST') return wrongMethod(kind, response, method, path);
    const asked = readAsked(kind, path, await readBody(request), response);
    if (!asked) return;
    if (!isDisaggregated) return forward(forwarding, path, asked, response);
    return kind === 'vllm'
      ? forwardInTurn(forwarding, path, asked, response)
      : forwardBoth(forwarding, path, asked, response);
  }
  const healthy = workers.all.filter(usable);
  switch (`${method} ${path}`) {
    case 'GET /health':
      return sendPlain(response, 200, kind === 'vllm' ? 'All servers healthy' : 'OK');
    case 'GET /liveness':
      return sendPlain(response, 200, 'OK');
    case 'GET /readiness':
      return readiness(forwarding, response);
    case 'GET /workers':
      return sendObject(response, 200, workers.list());
    case 'GET /v1/models':
      return models(forwarding, response);
    case 'POST /flush_cache':
      return flush(forwarding, response);
    case 'GET /health_generate':
      if (kind === 'sglang') return sendPlain(response, 200, 'At least one router has healthy workers');
      if (isDisaggregated) return sendPlain(response, 200, `Health generate passed on selected pair`);
      return proxied(kind, healthy[0], path, response);
    case 'GET /get_server_info':
      if (kind !== 'sglang') return proxied(kind, healthy[0], path, response);
      return sendPlain(
        response,
        200,
        JSON.stringify({ router_manager: true, routers_count: 1, workers_count: workers.all.length }),
      );
    case 'GET /get_model_info':
      return proxied(kind, healthy[0], path, response);
    case 'GET /list_workers':
      if (kind === 'vllm')
        return sendObject(response, 200, { urls: workers.all.map(({ listed }) => listed) });
  }
  // vLLM's router forwards every other path to a worker.
  if (kind !== 'vllm') return notFound(kind, response, method, path);
  if (!isDisaggregated) return proxied(kind, healthy[0], path, response, true);
  const says = 'Only POST requests are supported for transparent proxy';
  response.writeHead(405, { 'content-type': 'text/plain; charset=utf-8', 'content-length': says.length });
  response.end(says);
}

function readiness({ kind, workers, isDisaggregated }: Forwarding, response: ServerResponse): void {
  const count = (type?: Worker['type']) => {
    const of = workers.all.filter((worker) => type === undefined || worker.type === type);
    return { healthy: of.filter(({ healthy }) => healthy).length, total: of.length };
  };
  const { healthy, total } = count();
  if (healthy === 0)
    sendObject(response, 503, { status: 'not ready', reason: 'insufficient healthy workers' });
  else if (kind === 'vllm' && isDisaggregated)
    sendObject(response, 200, { status: 'ready', prefill: count('prefill'), decode: count('decode') });
  else sendObject(response, 200, { status: 'ready', healthy_workers: healthy, total_workers: total });
}

function models({ kind, workers }: Forwarding, response: ServerResponse): void | Promise<void> {
  if (kind === 'vllm') return proxied(kind, workers.all.find(usable), '/v1/models', response);
  const names = [...new Set(workers.all.map(({ model }) => model))];
  if (names.length === 0) {
    if (kind === 'sglang') return sendPlain(response, 503, 'No models available');
    return refuse(kind, response, {
      status: 503,
      code: 'no_models_available',
      message: 'No models available',
    });
  }
  const data = names.map((id) =>
    kind === 'smg'
      ? { id, object: 'model', created: 0, owned_by: 'self_hosted' }
      : { id, object: 'model', owned_by: 'local' },
  );
  if (kind === 'smg') return sendObject(response, 200, { object: 'list', data });
  sendPlain(response, 200, JSON.stringify({ object: 'list', data }));
}

async function flush(
  { kind, workers, isDisaggregated }: Forwarding,
  response: ServerResponse,
): Promise<void> {
  const urls = [...new Set(workers.all.map(({ url }) => url))];
  const signal = whenGone(response);
  await Promise.all(
    urls.map((url) =>
      sendUpstream({ url, method: 'POST', path: '/flush_cache', body: '', signal }).then(
        (each) => each.resume(),
        () => undefined,
      ),
    ),
  );
  if (kind === 'vllm')
    return sendPlain(
      response,
      200,
      isDisaggregated ? 'Cache flushed successfully' : 'Cache flushed on all servers',
    );
  const count = urls.length;
  sendObject(response, 200, {
    status: 'success',
    message: `Successfully flushed cache on all ${count}${kind === 'sglang' ? ' HTTP' : ''} workers`,
    ...{ workers_flushed: count, total_http_workers: count, total_workers: count },
    ...(kind === 'smg' ? { total_grpc_workers: 0, total_zmq_workers_skipped: 0 } : {}),
  });
}

async function proxied(
  kind: RouterKind,
  worker: Worker | undefined,
  path: string,
  response: ServerResponse,
  isTransparent = false,
): Promise<void> {
  const found = worker && (await ask(worker.url, path));
  if (!found)
    return refuse(kind, response, {
      status: 503,
      code: 'no_available_workers',
      message: 'No available workers',
    });
  response.writeHead(found.status, {
    'content-type': found.type,
    ...(isTransparent ? {} : { ...requestId(), 'content-length': Buffer.byteLength(found.text) }),
  });
  // Without a content-length node sends chunks, but only when more than one part is written.
  if (isTransparent) response.write(found.text);
  response.end(isTransparent ? undefined : found.text);
}
