import type { ServerResponse } from 'node:http';
import { sendJson } from '../common/http.ts';
import type { Api, GenerateRequest } from './requests.ts';

export interface AnswerOptions {
  readonly model: string;
  readonly id: string;
  /** Output tokens for each chunk of a stream; the first and the last token are sent at once. */
  readonly interval: number;
  readonly finish: 'length' | 'stop';
  /** Whether answers have all fields of SGLang 0.5.23. */
  readonly sglang: boolean;
}

export interface Answer {
  /** `produced` output tokens exist by now. */
  progress(produced: number, last: boolean): void;
}

/** Text of `count` tokens: one word is one token. */
const textOf = (count: number): string => ' token'.repeat(count);

/** Writes the answer in the format of the request's API: streamed or whole. */
export function answerTo(
  api: Api,
  request: GenerateRequest,
  response: ServerResponse,
  options: AnswerOptions,
): Answer {
  if (request.stream) return streamed(api, request, response, options);
  return {
    progress(produced, last) {
      if (last) sendJson(response, 200, whole(api, request, produced, options));
    },
  };
}

function streamed(
  api: Api,
  request: GenerateRequest,
  response: ServerResponse,
  options: AnswerOptions,
): Answer {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  const chunk = api === 'generate' ? ownChunks(request, options) : openAiChunks(api, options);
  const usage = (produced: number): object => ({
    ...usageOf(request, produced),
    ...(options.sglang ? { reasoning_tokens: 0, ...(api === 'chat' ? NO_DETAILS : {}) } : {}),
  });
  let sent = 0;
  return {
    progress(produced, last) {
      if (response.destroyed || (!last && sent > 0 && produced - sent < options.interval)) return;
      let data = sent === 0 && api === 'chat' ? roleChunk(options) : '';
      data += chunk(produced, sent, last);
      sent = produced;
      if (!last) {
        response.write(data);
        return;
      }
      if (request.includeUsage && api !== 'generate')
        data += event({ ...head(api, true, options), choices: [], usage: usage(produced) });
      response.end(`${data}data: [DONE]\n\n`);
    },
  };
}

type Chunk = (produced: number, sent: number, last: boolean) => string;

const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

/** Serialises the constant part of all chunks once, because it is most of the bytes. */
function openAiChunks(api: 'completion' | 'chat', options: AnswerOptions): Chunk {
  const [text, reason] = ['\u0001text', '\u0001reason'];
  const { sglang } = options;
  const isChat = api === 'chat';
  const choice = isChat ? { delta: { content: text, ...(sglang ? NO_REASONING : {}) } } : { text };
  const chunkOf = (what: object, finish: string): string =>
    event({
      ...head(api, true, options),
      choices: [{ index: 0, ...what, logprobs: null, finish_reason: finish, ...(sglang ? NO_STOP : {}) }],
      ...(sglang && !isChat ? { usage: null } : {}),
    });
  const pattern = chunkOf(choice, reason);
  const [before = '', rest = ''] = pattern.split(JSON.stringify(text).slice(1, -1));
  const [between = '', after = ''] = rest.split(JSON.stringify(reason));
  const chunk = (produced: number, sent: number, last: boolean): string =>
    `${before}${textOf(produced - sent)}${between}${last ? `"${options.finish}"` : 'null'}${after}`;
  // SGLang ends a chat with an additional chunk.
  return sglang && isChat
    ? (produced, sent, last) =>
        `${chunk(produced, sent, false)}${last ? chunkOf({ delta: NO_REASONING }, options.finish) : ''}`
    : chunk;
}

/** SGLang's own API sends the whole text so far in every chunk. */
function ownChunks(request: GenerateRequest, options: AnswerOptions): Chunk {
  return (produced, _sent, last) =>
    event({ text: textOf(produced), meta_info: metaOf(request, produced, last, options) });
}

const roleChunk = (options: AnswerOptions): string =>
  event({
    ...head('chat', true, options),
    choices: [
      {
        index: 0,
        delta: { role: 'assistant', content: '', ...(options.sglang ? NO_REASONING : {}) },
        ...{ logprobs: null, finish_reason: null },
        ...(options.sglang ? NO_STOP : {}),
      },
    ],
  });

function head(api: Api, chunk: boolean, { id, model }: AnswerOptions): object {
  const object = api === 'completion' ? 'text_completion' : `chat.completion${chunk ? '.chunk' : ''}`;
  return { id, object, created: Math.floor(Date.now() / 1_000), model };
}

const NO_STOP = { matched_stop: null };
const NO_REASONING = { reasoning_content: null };
const NO_DETAILS = { prompt_tokens_details: null, completion_tokens_details: null };
const METADATA = {
  weight_version: 'default',
  weight_versions: [{ start: 0, end: 0, version: 'default' }],
};

const usageOf = ({ promptTokens }: GenerateRequest, completion: number): object => ({
  prompt_tokens: promptTokens,
  completion_tokens: completion,
  total_tokens: promptTokens + completion,
});

const metaOf = (
  { promptTokens }: GenerateRequest,
  produced: number,
  last: boolean,
  { id, finish }: AnswerOptions,
): object => ({
  id,
  finish_reason: last ? { type: finish } : null,
  prompt_tokens: promptTokens,
  completion_tokens: produced,
});

function whole(api: Api, request: GenerateRequest, produced: number, options: AnswerOptions): unknown {
  const text = textOf(produced);
  if (api === 'generate') return { text, meta_info: metaOf(request, produced, true, options) };
  const { sglang, finish } = options;
  const message = { role: 'assistant', content: text, ...(sglang ? NO_REASONING : {}) };
  const content = api === 'chat' ? { message } : { text };
  return {
    ...head(api, false, options),
    choices: [{ index: 0, ...content, logprobs: null, finish_reason: finish, ...(sglang ? NO_STOP : {}) }],
    usage: {
      ...usageOf(request, produced),
      ...(sglang ? { reasoning_tokens: 0, ...NO_DETAILS } : {}),
    },
    ...(sglang ? { metadata: METADATA } : {}),
  };
}
