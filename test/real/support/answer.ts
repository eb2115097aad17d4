import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { familiesOf, framesOf, parsed, type Shape, type ShapeOptions, shapeOf } from './shape.ts';

/** One request of a contract. */
export interface Ask extends ShapeOptions {
  readonly method?: string;
  readonly path: string;
  /** Sent as JSON; text and bytes are sent unchanged. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further headers of the answer to compare, besides the usual ones. */
  readonly alsoHeaders?: readonly string[];
  /** Another port of the same host, for example that of metrics. */
  readonly port?: number;
  readonly timeoutMs?: number;
}

/** The compared parts of an answer. */
export interface Answer {
  /** HTTP status, or how the connection ended without one: ECONNREFUSED, ECONNRESET, TIMEOUT. */
  readonly status: number | string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Shape;
  /** Time until the head arrived, and until the answer ended. */
  readonly firstMs: number;
  readonly ms: number;
  /** Not compared: for `until`, and for messages. */
  readonly text: string;
}

const USUAL_HEADERS = ['content-type', 'cache-control', 'retry-after', 'location', 'allow'];

const sent = (body: unknown): string | Buffer | undefined =>
  body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);

/** Sends a request on a new connection. Never throws, because no answer counts as an answer, too. */
export function ask(base: string, request: Ask): Promise<Answer> {
  const { hostname, port } = new URL(base);
  const body = sent(request.body);
  const begin = performance.now();
  let firstMs = 0;
  let text = '';
  return new Promise((resolve) => {
    const over = (status: number | string, headers: Answer['headers'] = {}, shape: Shape = 'nothing') => {
      clearTimeout(timer);
      const ms = performance.now() - begin;
      resolve({ status, headers, body: shape, firstMs: firstMs || ms, ms, text });
    };
    const outgoing = httpRequest(
      {
        ...{ host: hostname, port: request.port ?? port, path: request.path, agent: false },
        method: request.method ?? (body === undefined ? 'GET' : 'POST'),
        headers: {
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...request.headers,
        },
      },
      (incoming) => {
        firstMs = performance.now() - begin;
        const headers = chosen(incoming.headers, request.alsoHeaders ?? []);
        const end = () => over(incoming.statusCode ?? 0, headers, bodyOf(text, headers, request));
        incoming.setEncoding('utf8').on('data', (data) => {
          text += data;
        });
        incoming.once('end', end);
        incoming.once('error', end);
      },
    );
    const timer = setTimeout(() => {
      outgoing.destroy();
      over('TIMEOUT');
    }, request.timeoutMs ?? 30_000);
    outgoing.once('error', (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
    outgoing.end(body);
  });
}

/**
 * Headers that a client may use. The way the end of the body is marked counts (`chunked` or a length), its
 * length does not.
 */
function chosen(headers: IncomingHttpHeaders, also: readonly string[]): Record<string, string> {
  const named = [...USUAL_HEADERS, ...also].flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [[name, String(value).toLowerCase().replace(/; */g, '; ')] as const];
  });
  const framing =
    headers['transfer-encoding'] ?? (headers['content-length'] === undefined ? 'close' : 'length');
  return { ...Object.fromEntries(named), framing };
}

function bodyOf(text: string, headers: Readonly<Record<string, string>>, options: ShapeOptions): Shape {
  const type = headers['content-type'] ?? '';
  if (type.startsWith('text/event-stream')) return framesOf(text, options);
  if (text === '') return 'empty';
  const json = parsed(text);
  if (json !== undefined) return shapeOf(json, options);
  if (options.values?.includes('')) return text;
  return text.includes('# TYPE ') ? familiesOf(text, options) : 'text';
}
