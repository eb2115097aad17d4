import type { ServerResponse } from 'node:http';
import { sendJson } from './http.ts';
import type { GenerateRequest } from './requests.ts';

export type Api = 'completion' | 'chat' | 'generate';

/** Text of `count` tokens: a token is a word. */
const textOf = (count: number): string => ' token'.repeat(count);

interface Answer {
  /** `produced` output tokens exist by now. */
  progress(produced: number, last: boolean): void;
}

/** Writes a request's answer as its API has it: streamed (a chunk for each `interval` tokens, the first at once), or whole. */
export function answerTo(
  api: Api,
  request: GenerateRequest,
  response: ServerResponse,
  options: { model: string; id: string; interval: number; outputTokens: number; finish: 'length' | 'stop' },
): Answer {
  const { model, id, interval, finish } = options;
  const usage = (completion: number) => ({
    prompt_tokens: request.promptTokens,
    completion_tokens: completion,
    total_tokens: request.promptTokens + completion,
  });
  if (!request.stream) {
    return {
      progress(produced, last) {
        if (!last) return;
        sendJson(
          response,
          200,
          whole(api, { model, id, finish, text: textOf(produced), usage: usage(produced) }),
        );
      },
    };
  }
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  // What does not change from chunk to chunk is made once: it is most of the bytes.
  const [before, after] = template(api, { model, id });
  const chunk = (text: string, reason: string): string => `${before}${text}${after}${reason}`;
  let sent = 0;
  let role = api === 'chat' ? `data: ${JSON.stringify(roleChunk({ model, id }))}\n\n` : '';
  return {
    progress(produced, last) {
      if (response.destroyed) return;
      if (!last && sent > 0 && produced - sent < interval) return;
      let data = role;
      role = '';
      if (api === 'generate')
        data += generateChunk(id, textOf(produced), request, produced, last ? finish : null);
      else data += chunk(textOf(produced - sent), last ? `"${finish}"}]}\n\n` : 'null}]}\n\n');
      sent = produced;
      if (last) {
        if (request.includeUsage && api !== 'generate')
          data += `data: ${JSON.stringify({ id, object: objectOf(api), model, choices: [], usage: usage(produced) })}\n\n`;
        data += 'data: [DONE]\n\n';
      }
      response.write(data);
      if (last) response.end();
    },
  };
}

const objectOf = (api: Api): string => (api === 'chat' ? 'chat.completion.chunk' : 'text_completion');

/** A chunk's text before and after its new text; the finish reason and the closing brackets follow. */
function template(api: Api, { model, id }: { model: string; id: string }): [string, string] {
  const head = `data: {"id":${JSON.stringify(id)},"object":"${objectOf(api)}","model":${JSON.stringify(model)},"choices":[{"index":0,`;
  return api === 'chat'
    ? [`${head}"delta":{"content":"`, '"},"logprobs":null,"finish_reason":']
    : [`${head}"text":"`, '","logprobs":null,"finish_reason":'];
}

const roleChunk = ({ model, id }: { model: string; id: string }) => ({
  id,
  object: 'chat.completion.chunk',
  model,
  choices: [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
});

const metaOf = (id: string, request: GenerateRequest, produced: number, finish: string | null) => ({
  id,
  finish_reason: finish === null ? null : { type: finish },
  prompt_tokens: request.promptTokens,
  completion_tokens: produced,
});

/** SGLang's own API sends the whole text so far in every chunk. */
const generateChunk = (
  id: string,
  text: string,
  request: GenerateRequest,
  produced: number,
  finish: string | null,
) => `data: ${JSON.stringify({ text, meta_info: metaOf(id, request, produced, finish) })}\n\n`;

function whole(
  api: Api,
  {
    model,
    id,
    finish,
    text,
    usage,
  }: { model: string; id: string; finish: string; text: string; usage: Record<string, number> },
): unknown {
  if (api === 'generate')
    return {
      text,
      meta_info: {
        id,
        finish_reason: { type: finish },
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
      },
    };
  const choice =
    api === 'chat'
      ? { index: 0, message: { role: 'assistant', content: text }, finish_reason: finish }
      : { index: 0, text, logprobs: null, finish_reason: finish };
  return {
    id,
    object: api === 'chat' ? 'chat.completion' : 'text_completion',
    model,
    choices: [choice],
    usage,
  };
}
