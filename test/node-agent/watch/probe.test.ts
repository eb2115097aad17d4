import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpProbe } from '../../../src/messages/spec/probe-spec.ts';
import { probeOnce } from '../../../src/node-agent/watch/probe.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(listener: RequestListener): Promise<Pick<HttpProbe, 'kind' | 'host' | 'port'>> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { kind: 'http', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

const probe = (spec: HttpProbe, phase?: 'startup' | 'liveness') =>
  probeOnce(spec, 5_000, new AbortController().signal, phase);

const steps: HttpProbe['steps'] = [
  { label: 'model', path: '/v1/models', take: { model: ['data', '0', 'id'] } },
  {
    label: 'completion',
    path: '/v1/completions',
    body: { model: '{model}', prompt: 'hello', max_tokens: 1 },
    or: [{ path: '/v1/chat/completions', body: { model: '{model}' } }],
    take: { choice: ['choices', '0'] },
  },
];

describe('a probe of several steps', () => {
  const state = { models: [] as string[], refuses: [] as string[], asked: [] as string[] };
  const router: RequestListener = async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    state.asked.push(`${request.method} ${request.url} ${body}`);
    if (state.refuses.includes(request.url ?? '')) {
      response.statusCode = 422;
      response.end('{"message": "no such thing"}');
    } else if (request.url === '/health') response.end('{}');
    else if (request.url === '/v1/models')
      response.end(JSON.stringify({ data: state.models.map((id) => ({ id })) }));
    else response.end('{"choices": [{"text": "a"}]}');
  };
  const fresh = () => Object.assign(state, { models: ['tiny'], refuses: [], asked: [] });

  it('asks for the model, and for a completion with its name', async () => {
    fresh();
    const place = await serve(router);
    expect(await probe({ ...place, path: '/health', steps })).toEqual({
      ok: true,
      detail: '/health answers HTTP 200; model, completion',
    });
    expect(state.asked).toEqual([
      'GET /health ',
      'GET /v1/models ',
      'POST /v1/completions {"model":"tiny","prompt":"hello","max_tokens":1}',
    ]);
  });

  it('names the step that fails, and reports when it is half way', async () => {
    fresh();
    state.models = [];
    const place = await serve(router);
    expect(await probe({ ...place, path: '/health', steps })).toEqual({
      ok: false,
      isHalfWay: true,
      detail: '/health answers HTTP 200; no model: /v1/models has no data.0.id',
    });
  });

  it('repeats the request in another form when the first one is refused', async () => {
    fresh();
    state.refuses = ['/v1/completions'];
    const place = await serve(router);
    expect((await probe({ ...place, path: '/health', steps })).ok).toBe(true);
    state.refuses.push('/v1/chat/completions');
    expect((await probe({ ...place, path: '/health', steps })).detail).toBe(
      '/health answers HTTP 200; no completion: /v1/completions answers HTTP 422 {"message": "no such thing"}',
    );
  });

  it('sends no request while the process serves', async () => {
    fresh();
    const place = await serve(router);
    expect((await probe({ ...place, path: '/health', steps }, 'liveness')).ok).toBe(true);
    expect(state.asked).toEqual(['GET /health ']);
  });
});

it('accepts a status that is not 2xx when the body says ready, as that of the mocker', async () => {
  let body = '{"status":"notready","endpoints":{"generate":"notready"}}';
  const place = await serve((_, response) => {
    response.statusCode = 503;
    response.end(body);
  });
  const spec: HttpProbe = {
    ...place,
    path: '/health',
    accept: { status: 503, at: ['endpoints', 'generate'], is: 'ready' },
  };
  expect(await probe(spec)).toEqual({ ok: false, detail: '/health answers HTTP 503' });
  body = '{"status":"notready","endpoints":{"generate":"ready"}}';
  expect((await probe(spec)).ok).toBe(true);
});
