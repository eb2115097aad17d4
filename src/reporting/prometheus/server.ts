import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { gzip } from 'node:zlib';
import { SrtctlError } from '../../os/errors.ts';

const TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Serves metrics at /metrics. Resolves when it listens.
 * @param text makes the text of a scrape
 * @throws SrtctlError when the address cannot be had
 */
export async function serveMetrics(
  { host, port }: { readonly host: string | undefined; readonly port: number },
  text: () => string,
): Promise<Server> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0];
    if (path !== '/metrics') {
      response.writeHead(path === '/' ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8' });
      response.end('metrics of a job of srtctl: /metrics\n');
      return;
    }
    const body = text();
    if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) {
      response.writeHead(200, { 'content-type': TYPE }).end(body);
      return;
    }
    gzip(body, { level: 1 }, (error, packed) => {
      if (error) response.writeHead(500).end();
      else response.writeHead(200, { 'content-type': TYPE, 'content-encoding': 'gzip' }).end(packed);
    });
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SrtctlError('cannot-listen', `cannot listen on ${host ?? ''}:${port}: ${code ?? message}`, {
      hint: 'another port may be free',
      cause: error,
    });
  }
  return server;
}
