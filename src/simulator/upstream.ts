import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { sendError } from './http.ts';

/** Connections to workers are kept: as many as there are requests in flight. */
const keepAlive = new Agent({
  keepAlive: true,
  maxSockets: Number.POSITIVE_INFINITY,
  keepAliveMsecs: 30_000,
});

export interface Upstream {
  readonly url: URL;
  readonly method: string;
  readonly path: string;
  readonly body: string | Buffer;
  readonly signal: AbortSignal;
}

/** Sends a request on and resolves with the head of its answer. */
export function send({ url, method, path, body, signal }: Upstream): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        agent: keepAlive,
        host: url.hostname,
        port: url.port,
        method,
        path,
        signal,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      resolve,
    );
    request.setNoDelay(true);
    request.once('error', reject);
    request.end(body);
  });
}

/** Hands an upstream's answer through byte by byte, at the client's pace. */
export function pipe(from: IncomingMessage, to: ServerResponse): void {
  const { 'content-type': type, 'content-length': length } = from.headers;
  to.writeHead(from.statusCode ?? 502, {
    ...(type === undefined ? {} : { 'content-type': type }),
    ...(length === undefined ? {} : { 'content-length': length }),
  });
  from.once('error', () => to.destroy());
  from.once('aborted', () => to.destroy());
  from.pipe(to);
}

/** An abort signal that fires when the client goes away before it has its answer. */
export function whenGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableEnded) gone.abort();
  });
  return gone.signal;
}

/** Sends on and hands through; `status` when the worker cannot be reached. */
export async function proxy(upstream: Upstream, response: ServerResponse, status: number): Promise<void> {
  try {
    pipe(await send(upstream), response);
  } catch (error) {
    if (!upstream.signal.aborted)
      sendError(response, status, `upstream ${upstream.url.host}: ${String(error)}`);
  }
}
