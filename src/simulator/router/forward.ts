import { randomInt } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../common/http.ts';
import { type Asked, type RouterKind, refuse, requestId, send } from './answers.ts';
import { counted, withFields } from './dispatch.ts';
import type { Policy } from './policy.ts';
import { send as sendUpstream, whenGone } from './upstream.ts';
import { failed, usable, type Worker, type Workers } from './workers.ts';

/** Attempts for one request, and the wait before the second one, which grows by half each time. */
const ATTEMPTS = 5;
const FIRST_WAIT_MS = 50;
const GROWS = 1.5;
/** Statuses that these routers retry (sgl-model-gateway, src/core/retry.rs). */
const PASSING = new Set([408, 429, 500, 502, 503, 504]);

export interface Forwarding {
  readonly kind: RouterKind;
  readonly workers: Workers;
  readonly policies: { readonly prefill: Policy; readonly decode: Policy };
  readonly isDisaggregated: boolean;
}

/** Repeats an attempt until it settles the request, or until no attempt is left. */
async function retried(signal: AbortSignal, attempt: (last: boolean) => Promise<boolean>): Promise<void> {
  for (let count = 1, pause = FIRST_WAIT_MS; count <= ATTEMPTS && !signal.aborted; count++, pause *= GROWS) {
    if (await attempt(count === ATTEMPTS)) return;
    if (count < ATTEMPTS) await sleep(pause);
  }
}

/** Forwards an upstream's answer, streamed or whole. */
function handOn(
  { kind, isDisaggregated }: Forwarding,
  from: IncomingMessage,
  asked: Asked,
  worker: Worker,
  to: ServerResponse,
): void {
  if (to.destroyed) return void from.resume();
  const { 'content-type': own, 'content-length': length } = from.headers;
  // The router labels every answer to a streaming request as a stream.
  const isStream =
    asked.streams &&
    (kind !== 'smg' || isDisaggregated) &&
    !(kind === 'vllm' && isDisaggregated && from.statusCode !== 200);
  const type = isStream ? 'text/event-stream' : own;
  to.writeHead(from.statusCode ?? 502, {
    ...(type === undefined ? {} : { 'content-type': type }),
    ...(length === undefined ? {} : { 'content-length': length }),
    ...(kind === 'smg' ? { 'x-smg-routed-worker-id': worker.url.origin } : {}),
    ...requestId(),
  });
  from.once('error', () => to.destroy());
  from.once('aborted', () => to.destroy());
  from.pipe(to);
}

const unreachable = (worker: Worker, path: string): string =>
  `error sending request for url (${worker.url.origin}${path})`;

const noneOpen = (what: string, has: boolean): string =>
  has
    ? `No available ${what}workers (all circuits open or unhealthy)`
    : `No ${what}workers available. Please check if ${what}servers are configured and healthy.`;

/** Sends a request to an aggregated worker, and retries with another one. */
export async function forward(
  forwarding: Forwarding,
  path: string,
  asked: Asked,
  response: ServerResponse,
): Promise<void> {
  const { kind, workers, policies } = forwarding;
  const signal = whenGone(response);
  const isKnown = workers.all.some(({ model }) => model === asked.model);
  if (kind === 'smg' && !isKnown && asked.model !== undefined) {
    const message = `No worker available for model '${asked.model}'`;
    return refuse(kind, response, { status: 404, code: 'model_not_found', message });
  }
  await retried(signal, async (last) => {
    const open = workers.of('regular');
    const worker = open.length > 0 ? policies.decode(open, asked.text.slice(0, 256)) : undefined;
    if (!worker) {
      if (last)
        refuse(kind, response, { status: 503, code: 'no_available_workers', message: noneOpen('', true) });
      return last;
    }
    let settled = true;
    await counted([worker], response, async () => {
      try {
        const answer = await sendUpstream({
          url: worker.url,
          method: 'POST',
          path,
          body: asked.text,
          signal,
        });
        if (PASSING.has(answer.statusCode ?? 0) && !last) {
          failed(worker);
          answer.resume();
          settled = false;
          return;
        }
        worker.failures = 0;
        handOn(forwarding, answer, asked, worker, response);
      } catch {
        failed(worker);
        settled = last;
        if (!last || signal.aborted) return;
        const says = unreachable(worker, path);
        const url = `${worker.url.origin}${path}`;
        refuse(kind, response, {
          status: 500,
          code: kind === 'smg' ? 'call_upstream_connection_failed' : 'call_upstream_request_error',
          message: kind === 'vllm' ? `Request failed: ${says}` : `${says}. URL: ${url}`,
        });
      }
    });
    return settled;
  });
}

/**
 * Sends a request to a prefill and a decode worker at once; they meet at the prefill worker's bootstrap port.
 */
export async function forwardBoth(
  forwarding: Forwarding,
  path: string,
  asked: Asked,
  response: ServerResponse,
): Promise<void> {
  const { kind, workers, policies } = forwarding;
  const signal = whenGone(response);
  const prefix = asked.text.slice(0, 256);
  const isKnown =
    kind !== 'smg' || asked.model === undefined || workers.all.some(({ model }) => model === asked.model);
  const nobody = (): void => {
    const missing = workers.of('prefill').length === 0 || !isKnown ? 'prefill' : 'decode';
    const has = isKnown && workers.all.some(({ type }) => type === missing);
    refuse(kind, response, {
      status: 503,
      code: kind === 'smg' ? 'no_available_workers' : 'server_selection_failed',
      message: `No available servers: ${noneOpen(`${missing} `, has)}`,
    });
  };
  // smg does not retry when a role has no worker.
  const lacks = () => !isKnown || workers.of('prefill').length === 0 || workers.of('decode').length === 0;
  if (kind === 'smg' && lacks()) return nobody();
  await retried(signal, async (last) => {
    const [prefills, decodes] = [workers.of('prefill'), workers.of('decode')];
    const prefill = prefills.length > 0 ? policies.prefill(prefills, prefix) : undefined;
    const decode = decodes.length > 0 ? policies.decode(decodes, prefix) : undefined;
    if (!prefill?.bootstrap || !decode) {
      if (last) nobody();
      return last;
    }
    const { host, port } = prefill.bootstrap;
    const each = <T>(value: () => T): T | T[] =>
      asked.batch === undefined ? value() : Array.from({ length: asked.batch }, value);
    const body = withFields(asked.text, {
      bootstrap_host: each(() => host),
      bootstrap_port: each(() => port),
      bootstrap_room: each(() => randomInt(2 ** 47)),
    });
    let settled = true;
    await counted([prefill, decode], response, async () => {
      const stop = new AbortController();
      const either = AbortSignal.any([signal, stop.signal]);
      const one = (worker: Worker) =>
        sendUpstream({ url: worker.url, method: 'POST', path, body: body ?? '', signal: either });
      const prefilled = one(prefill).then((answer) => {
        answer.resume();
        return answer.statusCode ?? 0;
      });
      prefilled.catch(() => undefined);
      try {
        // A failed prefill ends the decode, because the decode worker would wait for that prefill.
        const decoded = one(decode);
        decoded.catch(() => undefined);
        const answer = await Promise.race([
          decoded,
          prefilled.then((status) => {
            if (status >= 500) throw new Error(`Prefill server error (${status})`);
            return decoded;
          }),
        ]);
        for (const worker of [prefill, decode]) worker.failures = 0;
        if ((answer.statusCode ?? 0) >= 400) await refused(forwarding, answer, asked, response);
        else handOn(forwarding, answer, asked, decode, response);
      } catch (error) {
        stop.abort();
        for (const worker of [prefill, decode]) failed(worker);
        settled = last || !usable(decode) || !usable(prefill);
        if (!settled || signal.aborted) return;
        const says =
          error instanceof Error && error.message.startsWith('Prefill')
            ? error.message
            : unreachable(decode, path);
        refuse(kind, response, {
          status: 502,
          code: kind === 'smg' ? 'PD disaggregation request failed' : 'decode_server_error',
          message: kind === 'smg' ? `Transport error: ${says}` : `Decode server error: ${says}`,
        });
      }
    });
    return settled;
  });
}

/** Translates a decode worker's error into the router's own words. */
async function refused(
  { kind }: Forwarding,
  answer: IncomingMessage,
  asked: Asked,
  response: ServerResponse,
): Promise<void> {
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  const status = answer.statusCode ?? 500;
  if (kind === 'sglang' && asked.streams)
    return send(
      response,
      status,
      `data: {'error': {"message":${text},"status":${status}}}`,
      'text/event-stream',
    );
  const body = parseJson(text) as { message?: unknown } | undefined;
  const message = typeof body?.message === 'string' ? body.message : text;
  const side = kind === 'smg' ? 'prefill' : 'decode';
  refuse(kind, response, {
    status,
    code: status < 500 ? `${side}_bad_request` : `${side}_server_error`,
    message: kind === 'smg' ? `Prefill server error (${status} Bad Request): ${text}` : message,
  });
}

/**
 * vLLM's way: the prefill worker first answers with one token and the place of its KV cache. There is no
 * second attempt.
 */
export async function forwardInTurn(
  forwarding: Forwarding,
  path: string,
  asked: Asked,
  response: ServerResponse,
): Promise<void> {
  const { kind, workers, policies } = forwarding;
  const signal = whenGone(response);
  const prefix = asked.text.slice(0, 256);
  const [prefill, decode] = [
    policies.prefill(workers.of('prefill'), prefix),
    policies.decode(workers.of('decode'), prefix),
  ];
  if (!prefill || !decode)
    return refuse(kind, response, {
      status: 503,
      code: '',
      message: 'No available prefill or decode workers',
    });
  const transfer = { do_remote_decode: true, do_remote_prefill: false };
  const first = withFields(asked.text, {
    max_tokens: 1,
    stream: false,
    stream_options: undefined,
    kv_transfer_params: transfer,
  });
  const cannot = (message: string) =>
    refuse(kind, response, {
      status: 500,
      code: '',
      message: `Transparent proxy request failed: Network error: ${message}`,
    });
  await counted([prefill, decode], response, async () => {
    let params: unknown;
    try {
      const answer = await sendUpstream({
        url: prefill.url,
        method: 'POST',
        path,
        body: first ?? '',
        signal,
      });
      let text = '';
      for await (const chunk of answer) text += String(chunk);
      params = (parseJson(text) as { kv_transfer_params?: unknown } | undefined)?.kv_transfer_params;
    } catch {
      return cannot(`Prefill request to ${prefill.url.origin} failed: ${unreachable(prefill, path)}`);
    }
    const second = params === undefined ? asked.text : withFields(asked.text, { kv_transfer_params: params });
    try {
      const answer = await sendUpstream({
        url: decode.url,
        method: 'POST',
        path,
        body: second ?? '',
        signal,
      });
      handOn(forwarding, answer, asked, decode, response);
    } catch {
      if (!signal.aborted)
        cannot(`Decode request failed to ${decode.url.origin}${path}: ${unreachable(decode, path)}`);
    }
  });
}
