import { isIPv6 } from 'node:net';
import { Client } from 'undici';

const MOST_BYTES = 8 * 1024 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** false: the answer is longer than the limit; `text` is its beginning. */
  readonly isWhole: boolean;
}

export interface HttpQuestion {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** POST instead of GET. */
  readonly body?: unknown;
}

/**
 * Sends one request on its own connection, which closes with the answer, because a probed or stopping engine must keep
 * no connection of srtctl. Uses no proxy of the environment, because engines are on the job's own network.
 * @param silenceMs how long the other side may stay silent
 * @throws Error with a sentence for a person
 */
export async function askHttp(
  { host, port, path, body }: HttpQuestion,
  silenceMs: number,
  signal?: AbortSignal,
  mostBytes = MOST_BYTES,
): Promise<HttpAnswer> {
  const client = clientOf(host, port, silenceMs);
  let isAnswered = false;
  try {
    const answer = await client.request({
      ...{ path, reset: true },
      ...(signal ? { signal } : {}),
      ...(body === undefined
        ? { method: 'GET' }
        : {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body),
          }),
    });
    isAnswered = true;
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of answer.body as AsyncIterable<Buffer>) {
      pieces.push(piece);
      size += piece.length;
      if (size > mostBytes) break;
    }
    const text = Buffer.concat(pieces).subarray(0, mostBytes).toString('utf8');
    return { status: answer.statusCode, text, isWhole: size <= mostBytes };
  } catch (error) {
    throw new Error(reasonOf(error as NodeJS.ErrnoException, path, silenceMs, isAnswered), { cause: error });
  } finally {
    await client.destroy();
  }
}

/** Whether the other side reacts within `withinMs`: with an answer, a refusal or a broken connection. */
export async function answersHttp(
  { host, port, path }: HttpQuestion,
  withinMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const client = clientOf(host, port, 0);
  const deadline = AbortSignal.timeout(withinMs);
  try {
    const { body } = await client.request({
      ...{ path, method: 'GET', reset: true, signal: AbortSignal.any([signal, deadline]) },
    });
    body.on('error', () => undefined).destroy();
    return true;
  } catch {
    return !deadline.aborted;
  } finally {
    await client.destroy();
  }
}

const clientOf = (host: string, port: number, silenceMs: number): Client =>
  new Client(`http://${isIPv6(host) ? `[${host}]` : host}:${port}`, {
    ...{ connect: { timeout: silenceMs }, headersTimeout: silenceMs, bodyTimeout: silenceMs },
  });

const TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

function reasonOf(
  error: NodeJS.ErrnoException,
  path: string,
  silenceMs: number,
  isAnswered: boolean,
): string {
  if (error.code === 'ECONNREFUSED') return CONNECTION_REFUSED;
  if (TIMEOUTS.has(error.code ?? '')) return `${path} does not answer within ${silenceMs} ms`;
  if (isAnswered) return `${path} was cut off`;
  return error.code === 'UND_ERR_SOCKET' ? 'socket hang up' : error.message;
}

export const CONNECTION_REFUSED = 'connection refused';
