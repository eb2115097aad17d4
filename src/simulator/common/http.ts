import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Fatal } from './fatal.ts';
import { interfering, listenByFaults } from './interfere.ts';

/** The port is in use. */
export class PortTaken extends Fatal {}

/** Starts a server. When the port is in use the process ends as a real engine does. */
export function serve(
  host: string,
  port: number,
  handle: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Promise<Server> {
  const handleOrFail = interfering(handle);
  const server = createServer((request, response) => {
    // A client that has disconnected does not read its answer; the server must survive that.
    response.on('error', () => undefined);
    Promise.resolve(handleOrFail(request, response)).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: { message: String(error), type: 'internal_error', code: 500 } });
    });
  });
  server.keepAliveTimeout = 75_000;
  server.requestTimeout = 0;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new PortTaken(
              `ERROR:    [Errno 98] error while attempting to bind on address ('${host}', ${port}): address already in use`,
            )
          : error,
      ),
    );
    server.listen({ host, port, exclusive: true }, () => {
      listenByFaults(server, host, portOf(server));
      resolve(server);
    });
  });
}

/** The port that a server listens on. */
export function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export const sendJson = (response: ServerResponse, status: number, body: unknown): void =>
  sendText(response, status, JSON.stringify(body), 'application/json');

export function sendText(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

export const sendError = (response: ServerResponse, status: number, message: string): void =>
  sendJson(response, status, { object: 'error', message, error: { message, type: 'error', code: status } });

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?')[0] ?? '/';
