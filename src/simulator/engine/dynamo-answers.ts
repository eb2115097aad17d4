import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { sendJson } from '../common/http.ts';
import type { Answer, AnswerOptions } from './answers.ts';
import type { Api, GenerateRequest } from './requests.ts';

const textOf = (count: number): string => ' token'.repeat(count);
const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

type OpenAi = Exclude<Api, 'generate'>;

/**
 * Sends the head of a stream as soon as the request is accepted, before the first token, as Dynamo's frontend
 * does. That frontend leaves Nagle's algorithm on, so on a reused connection the first token waits for the
 * client's delayed ACK of the head, up to 40 ms (1.6.1 with dynamo.mocker, 20 requests each: head after 1.8
 * ms, first token after 43.7 ms; with a new connection for each request, 3.4 ms).
 */
export function beginStream(response: ServerResponse): void {
  if (response.headersSent) return;
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.flushHeaders();
}

/**
 * Answers in the format of Dynamo's frontend (1.6.1). The worker writes them, because the frontend only
 * forwards bytes.
 */
export function dynamoAnswer(
  api: OpenAi,
  request: GenerateRequest,
  response: ServerResponse,
  { model, interval, finish }: AnswerOptions,
): Answer {
  const chat = api === 'chat';
  const created = Math.floor(Date.now() / 1_000);
  const id = `${chat ? 'chatcmpl' : 'cmpl'}-${randomUUID()}`;
  const common = chat
    ? { created, model, object: `chat.completion${request.stream ? '.chunk' : ''}` }
    : { created, model, system_fingerprint: null, object: 'text_completion' };
  const usage = (completion: number) => ({
    prompt_tokens: request.promptTokens,
    completion_tokens: completion,
    total_tokens: request.promptTokens + completion,
    prompt_tokens_details: { ...(chat ? {} : { audio_tokens: null }), cached_tokens: 0 },
  });
  if (!request.stream) return whole();
  beginStream(response);
  let sent = 0;
  const none = chat ? {} : { usage: null };
  const chunk = (choice: object): string => event({ id, choices: [choice], ...common, ...none });
  const content = (count: number): string =>
    chunk(
      chat
        ? {
            index: 0,
            delta: { content: textOf(count), ...(sent === 0 ? { role: 'assistant' } : {}) },
            finish_reason: null,
            logprobs: null,
          }
        : { text: textOf(count), index: 0 },
    );
  return {
    progress(produced, last) {
      if (response.destroyed || (!last && sent > 0 && produced - sent < interval)) return;
      let data = produced > sent ? content(produced - sent) : '';
      sent = produced;
      if (!last) {
        response.write(data);
        return;
      }
      data += chunk(
        chat
          ? { index: 0, delta: {}, finish_reason: finish, logprobs: null }
          : { text: '', index: 0, finish_reason: finish },
      );
      if (request.includeUsage) data += event({ id, choices: [], ...common, usage: usage(produced) });
      response.end(`${data}data: [DONE]\n\n`);
    },
  };

  function whole(): Answer {
    return {
      progress(produced, last) {
        if (!last || response.destroyed) return;
        const text = textOf(produced);
        const choice = chat
          ? {
              index: 0,
              message: { content: text, refusal: null, role: 'assistant' },
              finish_reason: finish,
              logprobs: null,
            }
          : { text, index: 0, finish_reason: finish };
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ id, choices: [choice], ...common, usage: usage(produced) }));
      },
    };
  }
}

/** An error as Dynamo's frontend writes it: without a key `error`. */
export const refuse = (response: ServerResponse, code: number, type: string, message: string): void =>
  sendJson(response, code, { message, type, code });

/** An answer without a content-length, because the frontend's generating paths never have one. */
export function refuseInPieces(response: ServerResponse, code: number, type: string, message: string): void {
  if (response.destroyed) return;
  response.writeHead(code, { 'content-type': 'application/json' });
  response.write(JSON.stringify({ message, type, code }));
  response.end();
}
