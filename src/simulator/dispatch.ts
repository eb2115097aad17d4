import { randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { sendError } from './http.ts';
import type { Policy, Target } from './policy.ts';
import { pipe, proxy, send, whenGone } from './upstream.ts';

export interface PrefillTarget extends Target {
  readonly bootstrap: { host: string; port: number };
}

/** What a router knows: who prefills and who decodes, or who does everything. */
export interface Pool {
  readonly prefill: readonly PrefillTarget[];
  readonly decode: readonly Target[];
  readonly regular: readonly Target[];
}

export interface Policies {
  readonly prefill: Policy;
  readonly decode: Policy;
}

/** The first part of the prompt as it stands in the request: enough to tell which requests begin alike. */
const prefixOf = (text: string): string =>
  text.match(/"(?:prompt|messages|text|input_ids)"\s*:\s*(.{0,256})/s)?.[1] ?? '';

/** The request with fields added at its end: it is mostly prompt, and not worth reading for that. */
export function withFields(text: string, fields: Record<string, unknown>): string | undefined {
  const end = text.lastIndexOf('}');
  if (end < 0 || !text.trimStart().startsWith('{')) return undefined;
  return `${text.slice(0, end)}${/\{\s*$/.test(text.slice(0, end)) ? '' : ','}${JSON.stringify(fields).slice(1)}`;
}

/** Sends one generation request to a worker, or to a prefill and a decode worker at once, and streams the answer back. */
export async function dispatch(
  pool: Pool,
  policies: Policies,
  path: string,
  text: string,
  response: ServerResponse,
): Promise<void> {
  const prefix = prefixOf(text);
  const signal = whenGone(response);
  if (pool.regular.length > 0) {
    const target = policies.decode(pool.regular, prefix);
    if (!target) return sendError(response, 503, 'no available workers');
    return counted([target], response, () =>
      proxy({ url: target.url, method: 'POST', path, body: text, signal }, response, 502),
    );
  }
  const prefill = pool.prefill.length > 0 ? policies.prefill(pool.prefill, prefix) : undefined;
  const decode = pool.decode.length > 0 ? policies.decode(pool.decode, prefix) : undefined;
  if (!prefill || !decode) return sendError(response, 503, 'no available prefill or decode workers');
  const room = randomInt(2 ** 47);
  const { host, port } = prefill.bootstrap;
  const both = withFields(text, { bootstrap_host: host, bootstrap_port: port, bootstrap_room: room });
  if (both === undefined) return sendError(response, 400, 'the body is not a JSON object');
  await counted([prefill, decode], response, async () => {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const prefilled = send({ url: prefill.url, method: 'POST', path, body: both, signal: either }).then(
      (answer) => {
        answer.resume();
        if (answer.statusCode !== 200) throw new Error(`prefill worker answers HTTP ${answer.statusCode}`);
      },
    );
    const decoded = send({ url: decode.url, method: 'POST', path, body: both, signal: either });
    try {
      // A decode waits for its prefill by itself; a prefill that failed would let it wait in vain.
      const answer = await Promise.race([decoded, prefilled.then(() => decoded)]);
      prefilled.catch(() => undefined);
      pipe(answer, response);
    } catch (error) {
      stop.abort();
      decoded.catch(() => undefined);
      prefilled.catch(() => undefined);
      if (!signal.aborted) sendError(response, 500, `${decode.url.host}: ${String(error)}`);
    }
  });
}

export async function counted(
  targets: Target[],
  response: ServerResponse,
  run: () => Promise<void>,
): Promise<void> {
  for (const target of targets) target.load++;
  response.once('close', () => {
    for (const target of targets) target.load--;
  });
  await run();
}
