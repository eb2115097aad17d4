import * as z from 'zod';

export type Api = 'completion' | 'chat' | 'generate';

/** The fields of a request that the simulator uses, the same for every API. */
export interface GenerateRequest {
  readonly promptTokens: number;
  readonly maxTokens: number;
  readonly ignoreEos: boolean;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** The prompt as text, for decisions by prefix (a router's affinity). */
  readonly prefix: string;
  readonly bootstrap: { host: string; port: number; room: number } | null;
  /** The half of the work that TensorRT-LLM's router asks a server for; null: all of it. */
  readonly half: 'prefill' | 'decode' | null;
}

const bootstrapFields = {
  bootstrap_host: z.string().nullish(),
  bootstrap_port: z.number().nullish(),
  bootstrap_room: z.number().nullish(),
};
const openAiFields = {
  model: z.string().nullish(),
  max_tokens: z.number().int().positive().nullish(),
  max_completion_tokens: z.number().int().positive().nullish(),
  ignore_eos: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  ...bootstrapFields,
  disaggregated_params: z
    .looseObject({ request_type: z.enum(['context_only', 'generation_only', 'context_and_generation']) })
    .nullish(),
};
const promptSchema = z
  .union([z.string(), z.array(z.number()), z.array(z.string()), z.array(z.array(z.number()))])
  .refine((prompt) => typeof prompt === 'string' || typeof prompt[0] === 'number' || prompt.length === 1, {
    error: 'the simulator answers one prompt per request',
  });
const completionSchema = z.looseObject({ prompt: promptSchema, ...openAiFields });
const chatSchema = z.looseObject({
  messages: z
    .array(
      z.looseObject({
        role: z.string(),
        content: z.union([z.string(), z.array(z.looseObject({}))]).nullish(),
      }),
    )
    .min(1),
  ...openAiFields,
});
const generateSchema = z.looseObject({
  text: z.string().nullish(),
  input_ids: z.array(z.number()).nullish(),
  stream: z.boolean().nullish(),
  sampling_params: z
    .looseObject({ max_new_tokens: z.number().int().positive().nullish(), ignore_eos: z.boolean().nullish() })
    .nullish(),
  ...bootstrapFields,
});

const HALVES: Readonly<Record<string, 'prefill' | 'decode'>> = {
  context_only: 'prefill',
  generation_only: 'decode',
};

/** The engines' default when a request sets no limit. */
const DEFAULT_MAX_TOKENS = { openai: 16, generate: 128 };

/** The simulator's tokenizer: a word is a token; an array of ids has one token for each id. */
export function countTokens(prompt: z.infer<typeof promptSchema>): number {
  if (typeof prompt === 'string')
    return Math.max(1, prompt.split(/\s+/).filter((word) => word !== '').length);
  let count = 0;
  for (const part of prompt) count += typeof part === 'number' ? 1 : countTokens(part);
  return Math.max(1, count);
}

const prefixOf = (prompt: unknown): string =>
  typeof prompt === 'string'
    ? prompt.slice(0, 256)
    : JSON.stringify(Array.isArray(prompt) ? prompt.slice(0, 64) : prompt);

function bootstrapOf(body: {
  bootstrap_host?: string | null | undefined;
  bootstrap_port?: number | null | undefined;
  bootstrap_room?: number | null | undefined;
}): GenerateRequest['bootstrap'] {
  const { bootstrap_host: host, bootstrap_port: port, bootstrap_room: room } = body;
  return host && port && room != null ? { host, port, room } : null;
}

function fromOpenAi(
  body: z.infer<typeof completionSchema> | z.infer<typeof chatSchema>,
  promptTokens: number,
  prefix: string,
): GenerateRequest {
  return {
    promptTokens,
    prefix,
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? DEFAULT_MAX_TOKENS.openai,
    ignoreEos: body.ignore_eos === true,
    stream: body.stream === true,
    includeUsage: body.stream_options?.include_usage === true,
    bootstrap: bootstrapOf(body),
    half: HALVES[body.disaggregated_params?.request_type ?? ''] ?? null,
  };
}

const fromCompletion = (body: z.infer<typeof completionSchema>): GenerateRequest =>
  fromOpenAi(body, countTokens(body.prompt), prefixOf(body.prompt));

function fromChat(body: z.infer<typeof chatSchema>): GenerateRequest {
  const text = body.messages
    .map(({ content }) => (typeof content === 'string' ? content : JSON.stringify(content ?? '')))
    .join(' ');
  return fromOpenAi(body, countTokens(text), prefixOf(text));
}

function fromGenerate(body: z.infer<typeof generateSchema>): GenerateRequest {
  const prompt = body.input_ids ?? body.text ?? '';
  return {
    promptTokens: countTokens(prompt),
    prefix: prefixOf(prompt),
    maxTokens: body.sampling_params?.max_new_tokens ?? DEFAULT_MAX_TOKENS.generate,
    ignoreEos: body.sampling_params?.ignore_eos === true,
    stream: body.stream === true,
    includeUsage: true,
    bootstrap: bootstrapOf(body),
    half: null,
  };
}

/** Validates a request's body: returns the request, or an error text. */
export function readRequest(api: Api, body: unknown): GenerateRequest | string {
  switch (api) {
    case 'completion':
      return read(completionSchema, body, fromCompletion);
    case 'chat':
      return read(chatSchema, body, fromChat);
    case 'generate':
      return read(generateSchema, body, fromGenerate);
  }
}

function read<T>(
  schema: z.ZodType<T>,
  body: unknown,
  convert: (value: T) => GenerateRequest,
): GenerateRequest | string {
  const parsed = schema.safeParse(body);
  if (parsed.success) return convert(parsed.data);
  const [issue] = parsed.error.issues;
  return `${issue?.path.join('.') || 'body'}: ${issue?.message}`;
}

/** Length of the answer: the requested length, or, where the engine may end early, a fixed part of it. */
export function outputLength(request: GenerateRequest): number {
  if (request.ignoreEos) return request.maxTokens;
  let hash = 2_166_136_261;
  for (let at = 0; at < request.prefix.length; at++)
    hash = Math.imul(hash ^ request.prefix.charCodeAt(at), 16_777_619);
  const share = 0.5 + ((hash >>> 0) / 2 ** 32) * 0.5;
  return Math.max(1, Math.round(request.maxTokens * share));
}
