import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { flushCaches } from '../../../src/coordinator/sweep/flush-caches.ts';
import type { WorkerRest } from '../../../src/model/kinds.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A worker with these answers. */
async function worker(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  over: Partial<WorkerRest> = {},
): Promise<WorkerRest> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const place = { host: '127.0.0.1', port, path: '/flush_cache' };
  return { process: 'decode-0-0', node: 'node1', flush: [place], load: null, ...over };
}
const placeOf = ({ flush: [step] }: WorkerRest) => step ?? { host: '', port: 0, path: '' };
const answering = (...statuses: number[]) => {
  let asked = 0;
  return (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(statuses[Math.min(asked++, statuses.length - 1)] ?? 500).end();
  };
};
const signal = new AbortController().signal;

describe('flushCaches', () => {
  it('flushes the caches of all workers, and waits while one still runs requests', async () => {
    const workers = [await worker(answering(400, 400, 200)), await worker(answering(200), { process: 'b' })];
    expect(await flushCaches(workers, signal)).toEqual([
      { process: 'decode-0-0', flushed: true, why: 'POST /flush_cache' },
      { process: 'b', flushed: true, why: 'POST /flush_cache' },
    ]);
  });

  it('sends JSON to a worker, because not every server accepts a request without a body', async () => {
    const bodies: unknown[] = [];
    const picky = await worker(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      bodies.push(JSON.parse(text));
      response.end();
    });
    expect(await flushCaches([picky], signal)).toMatchObject([{ flushed: true }]);
    expect(bodies).toEqual([{}]);
  });

  it('blames the worker that does not become idle', async () => {
    await expect(flushCaches([await worker(answering(400))], signal, 150)).rejects.toMatchObject({
      causeOf: { process: 'decode-0-0', node: 'node1' },
    });
  });

  it('says why caches were not flushed: no such path, no connection, no flush', async () => {
    const gone = await worker(answering(200));
    servers[0]?.close();
    const none = { ...gone, flush: [], why: 'not in this engine' };
    const records = await flushCaches([await worker(answering(404)), gone, none], signal);
    expect(records.map(({ flushed }) => flushed)).toEqual([false, false, false]);
    expect(records[0]?.why).toContain('HTTP 404');
    expect(records[1]?.why).toContain('connection refused');
    expect(records[2]?.why).toBe('caches were warm: not in this engine');
  });

  it('waits by its metrics for a worker that has no flush', async () => {
    let left = 3;
    const base = await worker((_, response) => response.end(`# HELP x y\nrunning{a="b"} ${--left}\n`));
    const load = { ...placeOf(base), path: '/metrics', gauges: ['running'] };
    expect(await flushCaches([{ ...base, flush: [], load, why: 'no' }], signal)).toMatchObject([
      { flushed: false, why: 'caches were warm: no' },
    ]);
    expect(left).toBe(0);
  });

  it('uses the path of each engine too, and the older name when the engine is older', async () => {
    const asked: string[] = [];
    const engine = await worker((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(request.url === '/storage/clear' ? 404 : 200).end();
    });
    const storage = { ...placeOf(engine), path: '/storage/clear', older: '/clear_storage' };
    expect(await flushCaches([{ ...engine, flush: [...engine.flush, storage] }], signal)).toMatchObject([
      { flushed: true, why: 'POST /flush_cache, POST /storage/clear' },
    ]);
    expect(asked).toEqual(['/flush_cache', '/storage/clear', '/clear_storage']);
  });

  it('reports warm caches with a hint when an engine offers no flush', async () => {
    const engine = await worker(answering(404));
    const flush = [{ ...placeOf(engine), advice: 'VLLM_SERVER_DEV_MODE: "1"' }];
    expect(await flushCaches([{ ...engine, flush }], signal)).toMatchObject([
      {
        flushed: false,
        why: 'caches were warm: POST /flush_cache answered HTTP 404 (VLLM_SERVER_DEV_MODE: "1")',
      },
    ]);
  });

  it('treats a refusal with status 200 as a refusal, and gives up when no request runs', async () => {
    let refusals = 2;
    const later = await worker((_, response) => response.end(`{"success": ${refusals-- <= 0}}`));
    expect(await flushCaches([later], signal)).toMatchObject([{ flushed: true }]);
    const never = await worker((request, response) =>
      response.end(request.method === 'GET' ? 'running 0\n' : '{"success": false}'),
    );
    const load = { ...placeOf(never), path: '/metrics', gauges: ['running'] };
    expect(await flushCaches([{ ...never, load }], signal)).toMatchObject([
      { flushed: false, why: expect.stringContaining('is refused, though no request runs') },
    ]);
  });

  it.each([
    ['/v1/loads', (waiting: number) => ({ loads: [{ num_running_reqs: 0 }, { num_waiting_reqs: waiting }] })],
    ['/get_load', (waiting: number) => [{ num_reqs: 0 }, { num_reqs: waiting }]],
  ])(
    'waits for every data-parallel rank, because a flush reports only for the first: %s',
    async (path, body) => {
      let left = 3;
      const engine = await worker((request, response) => {
        if (request.method === 'POST') return response.writeHead(left > 0 ? 500 : 200).end();
        return request.url === path
          ? response.end(JSON.stringify(body(--left)))
          : response.writeHead(404).end();
      });
      const ranks = { ...placeOf(engine), path: '/v1/loads', older: '/get_load' };
      expect(await flushCaches([{ ...engine, ranks }], signal)).toMatchObject([{ flushed: true }]);
    },
  );

  it('ends when the point breaks meanwhile', async () => {
    const stop = new AbortController();
    const busy = await worker((_, response) => {
      stop.abort(new Error('broken'));
      response.writeHead(400).end();
    });
    await expect(flushCaches([busy], stop.signal)).rejects.toThrow('broken');
  });
});
