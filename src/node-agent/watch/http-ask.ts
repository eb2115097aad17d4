import { request } from 'node:http';

const MAX_BODY = 4 * 1024 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

export interface HttpQuestion {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** POST in place of GET. */
  readonly body?: unknown;
}

/** One request on a connection of its own. Rejects with a sentence for a person. */
export function ask(
  { host, port, path, body }: HttpQuestion,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        ...{ host, port, path, signal, timeout: timeoutMs, agent: false },
        method: text === undefined ? 'GET' : 'POST',
        headers:
          text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= MAX_BODY) chunks.push(chunk);
        });
        response.once('error', () => reject(new Error(`${path} was cut off`)));
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    asked.once('timeout', () => asked.destroy(new Error(`${path} does not answer within ${timeoutMs} ms`)));
    asked.once('error', (error) => reject(new Error(plain(error))));
    asked.end(text);
  });
}

export const plain = (error: NodeJS.ErrnoException): string =>
  error.code === 'ECONNREFUSED' ? 'connection refused' : error.message;
