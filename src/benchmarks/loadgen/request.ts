import { createParser } from 'eventsource-parser';
import type { Pool } from 'undici';
import * as z from 'zod';
import type { LoadgenConfig } from './config.ts';
import type { Prompt } from './dataset.ts';

/** What one request showed, in ms of a monotonic clock. `error` set = it failed. */
export interface Measured {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly ttftMs: number;
  /** Gaps between the chunks that carry text. */
  readonly gapsMs: readonly number[];
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly error: string | null;
}

const usageSchema = z.object({
  prompt_tokens: z.number().optional(),
  completion_tokens: z.number(),
});
const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        text: z.string().nullish(),
        delta: z.object({ content: z.string().nullish(), reasoning_content: z.string().nullish() }).nullish(),
      }),
    )
    .default([]),
  usage: usageSchema.nullish(),
  error: z.union([z.string(), z.object({ message: z.string() })]).nullish(),
});

function bodyOf(config: LoadgenConfig, model: string, prompt: Prompt): string {
  const chat = config.endpoint === '/v1/chat/completions';
  return JSON.stringify({
    model,
    ...(chat ? { messages: [{ role: 'user', content: prompt.content }] } : { prompt: prompt.content }),
    max_tokens: prompt.outputTokens,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
    // The measured lengths are those asked for: an engine must not end early. (SGLang, vLLM, TensorRT-LLM)
    ignore_eos: true,
  });
}

/** Sends one request and measures it from the bytes of its answer. Never rejects, but for an abort. */
export async function measureRequest(
  pool: Pool,
  config: LoadgenConfig,
  model: string,
  prompt: Prompt,
  signal: AbortSignal,
): Promise<Measured> {
  const body = bodyOf(config, model, prompt);
  const startedAt = performance.now();
  const gapsMs: number[] = [];
  let firstAt = 0;
  let lastAt = 0;
  let chunks = 0;
  let usage: z.infer<typeof usageSchema> | undefined;
  let finished = false;
  let error: string | null = null;

  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === '[DONE]') {
        finished = true;
        return;
      }
      const chunk = chunkSchema.safeParse(tryJson(data)).data;
      if (!chunk) {
        error ??= `unreadable chunk: ${data.slice(0, 200)}`;
        return;
      }
      if (chunk.error) error ??= typeof chunk.error === 'string' ? chunk.error : chunk.error.message;
      if (chunk.usage) usage = chunk.usage;
      const [choice] = chunk.choices;
      if (!(choice?.text || choice?.delta?.content || choice?.delta?.reasoning_content)) return;
      const now = performance.now();
      if (chunks === 0) firstAt = now;
      else gapsMs.push(now - lastAt);
      lastAt = now;
      chunks++;
    },
  });

  try {
    const timeout = AbortSignal.timeout(config.requestTimeoutMs);
    const response = await pool.request({
      path: config.endpoint,
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body,
      signal: AbortSignal.any([signal, timeout]),
    });
    if (response.statusCode !== 200) {
      const text = (await response.body.text()).replaceAll(/\s+/g, ' ').slice(0, 200);
      error = `HTTP ${response.statusCode}: ${text}`;
    } else {
      const decoder = new TextDecoder();
      for await (const data of response.body) parser.feed(decoder.decode(data as Buffer, { stream: true }));
      if (!finished) error ??= 'the stream ended without [DONE]';
    }
  } catch (cause) {
    signal.throwIfAborted();
    error = cause instanceof Error ? plain(cause) : String(cause);
  }
  const endedAt = performance.now();
  const outputTokens = usage?.completion_tokens ?? chunks;
  if (error === null && (chunks === 0 || outputTokens === 0)) error = 'no token came';
  return {
    startedAt,
    endedAt: lastAt || endedAt,
    ttftMs: firstAt - startedAt,
    gapsMs,
    inputTokens: usage?.prompt_tokens ?? prompt.inputTokens,
    outputTokens,
    error,
  };
}

const plain = (error: Error & { code?: string }): string =>
  error.code && !error.message.includes(error.code) ? `${error.code}: ${error.message}` : error.message;

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
