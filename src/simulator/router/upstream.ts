import {
  Agent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { sendError } from '../common/http.ts';

/** Reuses connections to workers, with no limit on their number. */
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
  /** Headers besides those that describe the body. */
  readonly headers?: OutgoingHttpHeaders;
  readonly signal: AbortSignal;
}

/** Sends a request and resolves with the head of its answer. */
export function send({ url, method, path, body, signal, headers }: Upstream): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        agent: keepAlive,
        host: url.hostname,
        port: url.port,
        method,
        path,
        signal,
        headers: {
          'content-type': 'application/json',
          ...headers,
          'content-length': Buffer.byteLength(body),
        },
      },
      resolve,
    );
    // Proxies omit the header, because HTTP/1.1 keeps connections by default.
    request.removeHeader('connection');
    request.setNoDelay(true);
    request.once('error', reject);
    request.end(body);
  });
}

/**
 * Headers of a connection, which a proxy does not forward (RFC 9110, 7.6.1), and the length, which it sets.
 */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'te',
  'trailer',
  'upgrade',
  'content-length',
];

export const passedOn = (headers: IncomingHttpHeaders): OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => ![...HOP_BY_HOP, 'transfer-encoding'].includes(name)),
  );

/** Forwards an upstream's answer byte by byte, at the client's pace. */
export function pipe(from: IncomingMessage, to: ServerResponse, headers: OutgoingHttpHeaders = {}): void {
  const { 'content-type': type, 'content-length': length } = from.headers;
  to.writeHead(from.statusCode ?? 502, {
    ...headers,
    ...(type === undefined ? {} : { 'content-type': type }),
    ...(length === undefined ? {} : { 'content-length': length }),
  });
  from.once('error', () => to.destroy());
  from.once('aborted', () => to.destroy());
  from.pipe(to);
}

/** An abort signal that fires when the client disconnects before its answer is complete. */
export function whenGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableEnded) gone.abort();
  });
  return gone.signal;
}

/** Sends a request and forwards its answer; answers `status` when the worker cannot be reached. */
export async function proxy(upstream: Upstream, response: ServerResponse, status: number): Promise<void> {
  try {
    pipe(await send(upstream), response);
  } catch (error) {
    if (!upstream.signal.aborted)
      sendError(response, status, `upstream ${upstream.url.host}: ${String(error)}`);
  }
}
