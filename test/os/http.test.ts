import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { askHttp } from '../../src/os/http.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server, host = '127.0.0.1'): Promise<{ host: string; port: number }> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return { host, port: (server.address() as AddressInfo).port };
}
const http = (listener: RequestListener) => listening(createHttpServer(listener));
/** A server that handles each connection by `act`, for any request. */
const raw = (act: (socket: Socket) => void) =>
  listening(
    createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => act(socket));
    }),
  );

const never = new AbortController().signal;

it('uses GET, and POST for a body, with a new connection for each request', async () => {
  const seen: unknown[] = [];
  const ports = new Set<number | undefined>();
  const place = await http(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    const { 'content-type': type, 'content-length': length, connection } = request.headers;
    seen.push([request.method, request.url, type, length, connection, body]);
    ports.add(request.socket.remotePort);
    response.writeHead(body === '' ? 200 : 404).end(`answer ${request.url}`);
  });
  expect(await askHttp({ ...place, path: '/a?b=1' }, 5_000, never)).toEqual({
    ...{ status: 200, text: 'answer /a?b=1', isWhole: true },
  });
  expect(await askHttp({ ...place, path: '/c', body: { d: 'é' } }, 5_000, never)).toMatchObject({
    status: 404,
  });
  expect(seen).toEqual([
    ['GET', '/a?b=1', undefined, undefined, 'close', ''],
    ['POST', '/c', 'application/json', '10', 'close', '{"d":"é"}'],
  ]);
  expect(ports.size).toBe(2);
});

it('reports a refused connection', async () => {
  const server = createServer();
  const place = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  await expect(askHttp({ ...place, path: '/' }, 5_000, never)).rejects.toThrow(/^connection refused$/);
});

it('reports a missing or incomplete answer', async () => {
  const silent = await raw(() => undefined);
  await expect(askHttp({ ...silent, path: '/p' }, 200, never)).rejects.toThrow(
    '/p does not answer within 200 ms',
  );
  const reset = await raw((socket) => socket.destroy());
  await expect(askHttp({ ...reset, path: '/p' }, 5_000, never)).rejects.toThrow('socket hang up');
  const cut = await raw((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'));
  await expect(askHttp({ ...cut, path: '/p' }, 5_000, never)).rejects.toThrow('/p was cut off');
});

it('reads no more than the limit', async () => {
  const place = await http((_, response) => {
    const more = (): void => {
      while (response.write('x'.repeat(1_000)));
      response.once('drain', more);
    };
    more();
  });
  const { text, isWhole } = await askHttp({ ...place, path: '/' }, 5_000, never, 10_000);
  expect(text).toBe('x'.repeat(10_000));
  expect(isWhole).toBe(false);
});

it('ends when it is aborted', async () => {
  const place = await raw(() => abort.abort());
  const abort = new AbortController();
  await expect(askHttp({ ...place, path: '/' }, 5_000, abort.signal)).rejects.toThrow(/abort/);
});

it('reaches an IPv6 address', async () => {
  const server = createHttpServer((_, response) => response.end('six'));
  expect((await askHttp({ ...(await listening(server, '::1')), path: '/' }, 5_000)).text).toBe('six');
});
