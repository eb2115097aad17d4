import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { sendJson } from '../common/http.ts';
import type { GenerateRequest } from '../engine/requests.ts';

/** Text of `count` tokens: one word is one token. */
const textOf = (count: number): string => ' token'.repeat(count);
const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

export interface VllmAnswer {
  /** `produced` output tokens exist by now. */
  progress(produced: number, last: boolean): void;
  /** The engine has died during the request. */
  fail(): void;
}

interface AnswerOptions {
  readonly model: string;
  readonly interval: number;
  readonly finish: 'length' | 'stop';
}

/** Answers in the format of vLLM 0.32 (entrypoints/openai/{completion,chat_completion}/serving.py). */
export function vllmAnswer(
  api: 'completion' | 'chat',
  request: GenerateRequest,
  response: ServerResponse,
  { model, interval, finish }: AnswerOptions,
): VllmAnswer {
  const id = `${api === 'chat' ? 'chatcmpl' : 'cmpl'}-${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  const created = Math.floor(Date.now() / 1_000);
  const usage = (completion: number) => ({
    prompt_tokens: request.promptTokens,
    total_tokens: request.promptTokens + completion,
    completion_tokens: completion,
  });
  if (!request.stream)
    return {
      fail: () => sendEngineDead(response),
      progress(produced, last) {
        if (!last) return;
        const text = textOf(produced);
        sendJson(response, 200, {
          ...{ id, object: api === 'chat' ? 'chat.completion' : 'text_completion', created, model },
          choices: [api === 'chat' ? chatChoice(text, finish) : choice(text, finish)],
          ...{ service_tier: null, ...FINGERPRINT },
          usage: { ...usage(produced), prompt_tokens_details: null, completion_tokens_details: null },
          ...(api === 'chat' ? { prompt_logprobs: null, prompt_token_ids: null, prompt_text: null } : {}),
          ...{ kv_transfer_params: null, ec_transfer_params: null, metrics: null },
        });
      },
    };
  const head = {
    ...{ id, object: api === 'chat' ? 'chat.completion.chunk' : 'text_completion', created, model },
  };
  let sent = 0;
  let begun = false;
  const begin = (): void => {
    if (begun) return;
    begun = true;
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    if (api === 'chat') {
      const role = {
        index: 0,
        delta: { role: 'assistant', content: '' },
        logprobs: null,
        finish_reason: null,
      };
      response.write(event({ ...head, choices: [role], prompt_token_ids: null, prompt_text: null }));
    }
  };
  return {
    progress(produced, last) {
      if (response.destroyed || (!last && sent > 0 && produced - sent < interval)) return;
      begin();
      const text = textOf(produced - sent);
      const reason = last ? finish : null;
      const one =
        api === 'chat'
          ? {
              ...{ index: 0, delta: { content: text }, logprobs: null, finish_reason: reason },
              ...(last ? { stop_reason: null } : {}),
              token_ids: null,
            }
          : { index: 0, text, logprobs: null, finish_reason: reason, ...NOT_ASKED };
      sent = produced;
      // Only the last chunk has it.
      const print = last && !request.includeUsage ? FINGERPRINT : {};
      response.write(event({ ...head, choices: [one], ...print }));
      if (!last) return;
      if (request.includeUsage)
        response.write(event({ ...head, choices: [], usage: usage(produced), ...FINGERPRINT }));
      response.end('data: [DONE]\n\n');
    },
    fail() {
      if (response.destroyed) return;
      if (!begun) return sendEngineDead(response);
      response.end(`${event(ENGINE_DEAD)}data: [DONE]\n\n`);
    },
  };
}

const FINGERPRINT = { system_fingerprint: 'vllm-0.32.0-simulated' };
const NOT_ASKED = { stop_reason: null, prompt_token_ids: null, token_ids: null };

const choice = (text: string, finish: string): object => ({
  ...{ index: 0, text, logprobs: null, finish_reason: finish, stop_reason: null, token_ids: null },
  ...{ prompt_logprobs: null, prompt_token_ids: null, routed_experts: null },
});

const chatChoice = (content: string, finish: string): object => ({
  index: 0,
  message: {
    ...{ role: 'assistant', content, refusal: null, annotations: null, audio: null, function_call: null },
    reasoning: null,
  },
  ...{ logprobs: null, finish_reason: finish, stop_reason: null, token_ids: null, routed_experts: null },
});

const ENGINE_DEAD = {
  error: {
    message: 'EngineCore encountered an issue. See stack trace (above) for the root cause.',
    ...{ type: 'InternalServerError', param: null, code: 500 },
  },
};

export const sendEngineDead = (response: ServerResponse): void => sendJson(response, 500, ENGINE_DEAD);
