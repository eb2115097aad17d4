import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runningRequests, settle } from '../../src/coordinator/settle.ts';
import type { WorkerRest } from '../../src/plan/kinds.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A worker that answers so. */
async function worker(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  over: Partial<WorkerRest> = {},
): Promise<WorkerRest> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const flush = { host: '127.0.0.1', port, path: '/flush_cache' };
  return { process: 'decode-0-0', node: 'node1', flush, load: null, ...over };
}
const answering = (...statuses: number[]) => {
  let asked = 0;
  return (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(statuses[Math.min(asked++, statuses.length - 1)] ?? 500).end();
  };
};
const signal = new AbortController().signal;

describe('settle', () => {
  it('empties the caches of all workers, and waits while one still runs requests', async () => {
    const workers = [await worker(answering(400, 400, 200)), await worker(answering(200), { process: 'b' })];
    expect(await settle(workers, signal)).toEqual([
      { process: 'decode-0-0', flushed: true, why: 'POST /flush_cache' },
      { process: 'b', flushed: true, why: 'POST /flush_cache' },
    ]);
  });

  it('blames the worker that does not come to rest', async () => {
    await expect(settle([await worker(answering(400))], signal, 150)).rejects.toMatchObject({
      causeOf: { process: 'decode-0-0', node: 'node1' },
    });
  });

  it('says why caches were not emptied: not there, not reached, not offered', async () => {
    const gone = await worker(answering(200));
    servers[0]?.close();
    const none = { ...gone, flush: null, why: 'not in this engine' };
    const records = await settle([await worker(answering(404)), gone, none], signal);
    expect(records.map(({ flushed }) => flushed)).toEqual([false, false, false]);
    expect(records[0]?.why).toContain('HTTP 404');
    expect(records[1]?.why).toContain('ECONNREFUSED');
    expect(records[2]?.why).toBe('not in this engine');
  });

  it('waits by its metrics for a worker that cannot be emptied', async () => {
    let left = 3;
    const base = await worker((_, response) => response.end(`# HELP x y\nrunning{a="b"} ${--left}\n`));
    const { flush, ...rest } = base;
    const load = flush && { ...flush, path: '/metrics', gauges: ['running'] };
    expect(await settle([{ ...rest, flush: null, load, why: 'no' }], signal)).toMatchObject([{ why: 'no' }]);
    expect(left).toBe(0);
  });

  it('ends when the point is broken meanwhile', async () => {
    const stop = new AbortController();
    const busy = await worker((_, response) => {
      stop.abort(new Error('broken'));
      response.writeHead(400).end();
    });
    await expect(settle([busy], stop.signal)).rejects.toThrow('broken');
  });
});

it('running requests are the sum of the gauges that are there', () => {
  const text = '# TYPE a gauge\na{x="1"} 2\na{x="2"} 3\nab 7\nc 1.0\n';
  expect(runningRequests(text, ['a', 'c', 'd'])).toBe(6);
});
