import { Connection, type Exchange, type Exchanged, type Shared } from './connection.ts';
import type { Target } from './target.ts';

export interface ClientOptions {
  readonly target: Target;
  /** Keep connections from request to request; otherwise each request has its own. */
  readonly keepsConnections: boolean;
  /** Sent with each request, beside those that HTTP needs. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Request extends Pick<Exchange, 'limitMs' | 'onHead' | 'onBody'> {
  readonly method: 'GET' | 'POST';
  /** Below the path of the target's URL. */
  readonly path: string;
  /** JSON in UTF-8; null without a body. */
  readonly body: Uint8Array | null;
}

/** How long the sending of requests may delay the reading of answers in one turn of the event loop. */
const HOLD_MS = 1;
/** Servers close what is idle for so long: uvicorn after 5 s. */
const MOST_IDLE_MS = 4_000;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** Printable ASCII and tabs. */
const VALUE = /^[\t\x20-\x7e]*$/;

/**
 * Sends requests over HTTP/1.1, each on a connection of its own or on one that is kept, and hands over the
 * bytes of answers as they are read. It exists because the general clients of Node cost several times as much
 * CPU for each chunk as the system's read.
 */
export class WireClient {
  readonly #options: ClientOptions;
  readonly #shared: Shared;
  readonly #all = new Set<Connection>();
  readonly #idle: { connection: Connection; since: number }[] = [];
  /** Requests that wait for a later turn of the event loop. */
  readonly #waiting: (() => void)[] = [];
  /** When the first request of this turn was sent. */
  #turn: number | undefined;
  #closedFor: string | undefined;

  /** @throws Error when a header cannot be sent */
  constructor(options: ClientOptions) {
    for (const [name, value] of Object.entries(options.headers)) {
      if (!TOKEN.test(name)) throw new Error(`"${name}" is no name of an HTTP header`);
      // Its value may be a secret.
      if (!VALUE.test(value))
        throw new Error(`the value of the HTTP header ${name} has unprintable characters`);
    }
    this.#options = options;
    this.#shared = {
      target: options.target,
      keepsConnections: options.keepsConnections,
      leavesOpen: false,
      onIdle: (connection) => void this.#idle.push({ connection, since: performance.now() }),
      onClosed: (connection) => void this.#all.delete(connection),
    };
  }

  /** Never rejects: a failure is in the result. */
  exchange(request: Request): Promise<Exchanged> {
    if (this.#waiting.length === 0 && this.#maySend()) return this.#begin(request);
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(this.#begin(request)));
    });
  }

  /** Opening hundreds of connections at once would delay the chunks that arrive meanwhile. */
  #maySend(): boolean {
    const now = performance.now();
    if (this.#turn === undefined) {
      this.#turn = now;
      setImmediate(() => {
        this.#turn = undefined;
        while (this.#waiting.length > 0 && this.#maySend()) this.#waiting.shift()?.();
      });
    }
    return now - this.#turn < HOLD_MS;
  }

  #begin({ method, path, body, limitMs, onHead, onBody }: Request): Promise<Exchanged> {
    if (this.#closedFor !== undefined)
      return Promise.resolve({ startedAt: undefined, connectMs: 0, status: 0, failure: this.#closedFor });
    const head = Buffer.from(this.#headOf(method, path, body), 'latin1');
    const bytes = body === null ? [head] : [head, body];
    return this.#connection().exchange({ bytes, limitMs, onHead, onBody });
  }

  /** Requests in flight, and later ones, fail with `reason`. */
  close(reason: string): void {
    this.#closedFor ??= reason;
    for (const connection of this.#all) connection.destroy(reason);
  }

  #headOf(method: string, path: string, body: Uint8Array | null): string {
    const { target, headers, keepsConnections } = this.#options;
    const lines = [
      `${method} ${target.basePath}${path} HTTP/1.1`,
      `host: ${target.authority}`,
      'user-agent: srtctl',
      `connection: ${keepsConnections ? 'keep-alive' : 'close'}`,
      // A compressed stream arrives when the compressor wants it.
      'accept-encoding: identity',
      ...(body === null ? [] : ['content-type: application/json', `content-length: ${body.length}`]),
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
    return `${lines.join('\r\n')}\r\n\r\n`;
  }

  /** The connection that was idle for the shortest time, or a new one. */
  #connection(): Connection {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      if (!this.#all.has(idle.connection)) continue;
      if (performance.now() - idle.since < MOST_IDLE_MS) return idle.connection;
      idle.connection.destroy('idle');
    }
    const connection = new Connection(this.#shared);
    this.#all.add(connection);
    return connection;
  }
}
