import type { IncomingMessage, ServerResponse } from 'node:http';
import { Arguments, bindAddress, setting } from '../common/argv.ts';
import { etcdEndpoint, reachEtcd } from '../common/etcd.ts';
import { pathOf, readBody, sendJson, sendText, serve } from '../common/http.ts';
import { logInToNats } from '../common/nats-login.ts';
import { endpointName } from '../common/registry.ts';
import { refuse, refuseInPieces } from '../engine/dynamo-answers.ts';
import { policyOf } from '../router/policy.ts';
import { dispatchToWorkers, problemOf } from './dispatch.ts';
import { KnownWorkers } from './known-workers.ts';

const GENERATES = new Set(['/v1/completions', '/v1/chat/completions']);
const READS = new Set(['/health', '/live', '/metrics', '/v1/models', '/openapi.json']);

/** Dynamo's frontend (1.6.1): its workers are those registered in etcd. */
export async function runFrontend(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  args.refuseUnknown('dynamo.frontend');
  const port = args.integer(8_000, 'http-port');
  const host = bindAddress(args.text('http-host') ?? process.env.DYN_HTTP_HOST ?? '0.0.0.0');
  const policy = policyOf(args.text('router-mode') === 'kv' ? 'kv' : args.text('router-mode'));
  const known = new KnownWorkers(setting('SRTCTL_SIM_MODEL_READ_MS', 300));
  process.on('SIGTERM', () => process.exit(0));
  await logInToNats();
  await reachEtcd();
  const server = await serve(host, port, async (request, response) => {
    const path = pathOf(request);
    if (READS.has(path) && request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET,HEAD', 'content-length': 0 }).end();
      return;
    }
    if (GENERATES.has(path)) return generate(request, response, path);
    const answer = answerOf(path);
    if (typeof answer === 'string') return sendText(response, 200, answer, 'text/plain; charset=utf-8');
    if (answer !== undefined) return sendJson(response, 200, answer);
    if (/^\/v1\/models\/[^/]+(\/ready)?$/.test(path))
      return refuse(response, 404, 'Not Found', 'Model not found');
    return refuse(response, 404, 'Not Found', `Route not found: ${request.method} ${path}`);
  });
  // Real frontends leave Nagle's algorithm on. Together with a client's delayed ACK it delays the first token
  // of a reused connection.
  server.on('connection', (socket) => socket.setNoDelay(false));
  process.stdout.write(`dynamo.frontend listens on ${host}:${port}, registry ${etcdEndpoint()}\n`);
  await known.follow();

  function answerOf(path: string): string | object | undefined {
    switch (path) {
      case '/health': {
        const instances = known.all.map(({ instance }) => instance);
        return {
          status: 'healthy',
          endpoints: [...new Set(instances.map(endpointName))],
          instances: instances.map(({ type: _, stand_in: __, ...shown }) => shown),
        };
      }
      case '/live':
        return { status: 'live', message: 'Service is live' };
      case '/metrics': {
        const active = known.all.reduce((sum, each) => sum + each.load, 0);
        return `# TYPE dynamo_frontend_active_requests gauge\ndynamo_frontend_active_requests ${active}\n`;
      }
      case '/v1/models':
        return { object: 'list', data: known.models.map(modelOf) };
      case '/openapi.json':
        return { openapi: '3.1.0', info: { title: 'NVIDIA Dynamo OpenAI Frontend', version: '1.6.1' } };
    }
    const [, name = '', ready] = /^\/v1\/models\/([^/]+)(\/ready)?$/.exec(path) ?? [];
    if (!known.models.includes(name)) return undefined;
    return ready ? known.readiness(name) : modelOf(name);
  }

  async function generate(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const isPost = request.method === 'POST';
    // The frontend opens its paths with the first model and closes them with the last one.
    if (!known.hasModel) {
      response.writeHead(404, isPost ? {} : { allow: 'POST' }).end();
      return;
    }
    if (!isPost) {
      response.writeHead(405, { allow: 'POST' }).end();
      return;
    }
    const text = await readBody(request);
    const problem = problemOf(text, path === '/v1/chat/completions');
    if (typeof problem === 'string') return refuseInPieces(response, 400, 'Bad Request', problem);
    if (!known.isNamed(problem.model)) return refuseInPieces(response, 404, 'Not Found', 'Model not found');
    const pool = known.poolOf(problem.model);
    if (pool === undefined)
      return refuseInPieces(
        response,
        503,
        'Service Unavailable',
        `Model \`${problem.model}\` is not ready to serve requests yet. The deployment may still be starting up or is not fully provisioned. Please retry shortly.`,
      );
    await dispatchToWorkers(pool, policy, { path, text, isStream: problem.isStream }, response);
  }
}

const modelOf = (id: string) => ({
  ...{ id, object: 'model', created: Math.floor(Date.now() / 1_000), owned_by: 'nvidia', context_window: 0 },
});
