import { randomBytes } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { parseJson } from '../common/http.ts';

/** SGLang's router (sglang-router 0.3.2), Shepherd Model Gateway (smg 1.13.0), vLLM's router (vllm-router 0.1.17). */
export type RouterKind = 'sglang' | 'smg' | 'vllm';

export const requestId = (): Record<string, string> => ({
  'x-request-id': `req-${randomBytes(12).toString('hex')}`,
});

/** Routers send text types with a charset. */
export function sendPlain(response: ServerResponse, status: number, text: string): void {
  send(response, status, text, 'text/plain; charset=utf-8');
}

export function sendObject(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  send(response, status, JSON.stringify(body), 'application/json', headers);
}

export function send(
  response: ServerResponse,
  status: number,
  text: string,
  type: string,
  headers: Record<string, string> = {},
): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, {
    'content-type': type,
    ...requestId(),
    ...headers,
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** An answer without a body and without a content type. */
export function sendNothing(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { ...headers, 'content-length': 0 });
  response.end();
}

/** An error of the router itself, in the words of each router. */
export function refuse(
  kind: RouterKind,
  response: ServerResponse,
  { status, code, message }: { status: number; code: string; message: string },
): void {
  if (kind === 'vllm') {
    sendPlain(response, status, message);
    return;
  }
  const headers = {
    'x-smg-error-code': code,
    ...(kind === 'smg' && code === 'no_available_workers' ? { 'retry-after': '1' } : {}),
  };
  const error =
    kind === 'sglang'
      ? { type: STATUS_CODES[status], code, message }
      : { type: status < 500 ? 'invalid_request_error' : 'server_error', code, message, param: null };
  sendObject(response, status, { error }, headers);
}

/** The answer for a path that the router lacks. */
export function notFound(kind: RouterKind, response: ServerResponse, method: string, path: string): void {
  if (kind === 'smg')
    refuse(kind, response, { status: 404, code: 'unknown_url', message: `Invalid URL (${method} ${path})` });
  else sendNothing(response, 404);
}

export function wrongMethod(kind: RouterKind, response: ServerResponse, method: string, path: string): void {
  if (kind !== 'smg') {
    sendNothing(response, 405, { ...requestId(), allow: 'POST' });
    return;
  }
  response.setHeader('allow', 'POST');
  const message = `Invalid URL (${method} ${path})`;
  refuse(kind, response, { status: 405, code: 'method_not_allowed', message });
}

/** The fields of a request that a router reads. */
export interface Asked {
  readonly text: string;
  readonly model: string | undefined;
  readonly streams: boolean;
  /** The number of prompts in the request's list. */
  readonly batch: number | undefined;
}

/** Reads a request's body as a router does; undefined after a refusal. */
export function readAsked(
  kind: RouterKind,
  path: string,
  text: string,
  response: ServerResponse,
): Asked | undefined {
  const body = parseJson(text);
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : undefined;
  const wrong = fields
    ? fieldProblem(kind, path, fields, text)
    : { field: '', says: 'expected value at line 1 column 1' };
  if (wrong === undefined) {
    const { model, stream, prompt } = fields ?? {};
    return {
      text,
      model: typeof model === 'string' ? model : undefined,
      streams: stream === true,
      batch: Array.isArray(prompt) && typeof prompt[0] === 'string' ? prompt.length : undefined,
    };
  }
  const says = `Failed to deserialize the JSON body into the target type: ${wrong.says}`;
  if (kind !== 'smg') sendPlain(response, 422, says);
  else {
    const code = wrong.says.startsWith('missing') ? 'missing_required_parameter' : 'invalid_type';
    const error = {
      ...{ message: `Invalid JSON data: ${says}`, type: 'invalid_request_error' },
      ...{ param: wrong.field, code },
    };
    sendObject(response, 400, { error });
  }
  return undefined;
}

function fieldProblem(
  kind: RouterKind,
  path: string,
  fields: Record<string, unknown>,
  text: string,
): { field: string; says: string } | undefined {
  const at = `at line 1 column ${text.length}`;
  const missing = (field: string) => ({ field, says: `missing field \`${field}\` ${at}` });
  const { prompt, model, messages } = fields;
  const isText = (value: unknown) => typeof value === 'string';
  if (path === '/v1/completions') {
    const takes = kind === 'vllm' || isText(prompt) || (Array.isArray(prompt) && prompt.every(isText));
    if (prompt !== undefined && !takes)
      return {
        field: 'prompt',
        says: `prompt: data did not match any variant of untagged enum StringOrArray ${at}`,
      };
    if (kind !== 'vllm' && !isText(model)) return missing('model');
    if (prompt === undefined) return missing('prompt');
  }
  if (path === '/v1/chat/completions' && messages === undefined) return missing('messages');
  return undefined;
}
