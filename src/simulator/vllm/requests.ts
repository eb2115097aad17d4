import { type GenerateRequest, readRequest } from '../engine/requests.ts';

/** An answer with an error. */
export interface Refusal {
  readonly code: number;
  readonly type: string;
  readonly message: string;
  readonly param: string | null;
}

/** Validates a body as vLLM 0.32 does, mostly in the same order; returns the request or the refusal. */
export function readVllmRequest(
  api: 'completion' | 'chat',
  text: string,
  { servedModel, contextLength }: { readonly servedModel: string; readonly contextLength: number },
): GenerateRequest | Refusal {
  const body = parsed(text);
  if ('code' in body) return body;
  const { model, prompt, messages, max_tokens: most } = body.value;
  if (api === 'chat' && !Array.isArray(messages))
    return refusal("'loc': 'body.messages', 'msg': 'Field required'", 'body.messages', 'Bad Request');
  if (api === 'completion' && (prompt == null || prompt === ''))
    return refusal('Either prompt or prompt_embeds must be provided and non-empty.', 'prompt');
  if (model != null && model !== servedModel)
    return {
      ...{ code: 404, type: 'NotFoundError', param: 'model' },
      message: `The model \`${String(model)}\` does not exist.`,
    };
  if (api === 'chat' && Array.isArray(messages) && messages.length === 0)
    return refusal('Cannot apply chat template to an empty conversation. Provide at least one message.');
  if (Array.isArray(prompt) && prompt.length === 0) return refusal('You must pass at least one prompt');
  if (typeof most === 'number' && most < 1) return tooFew(most);
  const request = readRequest(api, body.value);
  if (typeof request === 'string') return refusal(request, null, 'Bad Request');
  return fitted(request, contextLength);
}

/** Asking for more tokens than there is room for is no error: the answer ends when the context is full. */
function fitted(request: GenerateRequest, most: number): GenerateRequest | Refusal {
  const { promptTokens, maxTokens } = request;
  if (promptTokens > most)
    return refusal(
      `This model's maximum context length is ${most} tokens. However, your prompt contains ${promptTokens} input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=${promptTokens})`,
      'input_tokens',
    );
  if (maxTokens > most)
    return refusal(
      `max_tokens=${maxTokens} cannot be greater than max_model_len=${most}. Please request fewer output tokens. (parameter=max_tokens, value=${maxTokens})`,
      'max_tokens',
    );
  const room = most - promptTokens;
  return room === 0 ? tooFew(0) : { ...request, maxTokens: Math.min(maxTokens, room) };
}

const tooFew = (count: number): Refusal =>
  refusal(
    `max_tokens must be at least 1, got ${count}. (parameter=max_tokens, value=${count})`,
    'max_tokens',
  );

const refusal = (message: string, param: string | null = null, type = 'BadRequestError'): Refusal => ({
  ...{ code: 400, type, message, param },
});

function parsed(text: string): Refusal | { readonly value: Readonly<Record<string, unknown>> } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return { value: value as Record<string, unknown> };
    return refusal("'loc': 'body', 'msg': 'Input should be a valid dictionary'", 'body', 'Bad Request');
  } catch (error) {
    const [, at = '0'] = /position (\d+)/.exec(String(error)) ?? [];
    return refusal(`'loc': 'body.${at}', 'msg': 'JSON decode error'`, `body.${at}`, 'Bad Request');
  }
}
