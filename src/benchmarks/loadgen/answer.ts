import { createParser } from 'eventsource-parser';
import * as z from 'zod';

const usageSchema = z.object({
  prompt_tokens: z.number().int().optional(),
  completion_tokens: z.number().int(),
});
const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        text: z.string().nullish(),
        delta: z.object({ content: z.string().nullish(), reasoning_content: z.string().nullish() }).nullish(),
      }),
    )
    .nullish(),
  usage: usageSchema.nullish(),
  error: z.union([z.string(), z.object({ message: z.string() })]).nullish(),
});

/** What a streamed answer has shown so far. Times are those of the read that brought the bytes. */
export interface Answer {
  firstAt: number;
  lastAt: number;
  /** Gaps in ms between chunks that carry text. */
  readonly gapsMs: number[];
  /** Chunks that carry text. */
  chunks: number;
  usage: z.infer<typeof usageSchema> | undefined;
  /** The closing [DONE] came. */
  finished: boolean;
  error: string | null;
}

/**
 * Reads an answer streamed as server-sent events. `read` takes bytes as they come, cut anywhere.
 * @param onChunk called for each chunk that carries text
 */
export function readAnswer(onChunk: () => void): { answer: Answer; read(bytes: Uint8Array): void } {
  const answer: Answer = {
    firstAt: 0,
    lastAt: 0,
    gapsMs: [],
    chunks: 0,
    usage: undefined,
    finished: false,
    error: null,
  };
  let now = 0;
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === '[DONE]') {
        answer.finished = true;
        return;
      }
      const chunk = chunkSchema.safeParse(tryJson(data)).data;
      if (!chunk) {
        answer.error ??= `unreadable chunk: ${data.slice(0, 200)}`;
        return;
      }
      if (chunk.error) answer.error ??= typeof chunk.error === 'string' ? chunk.error : chunk.error.message;
      if (chunk.usage) answer.usage = chunk.usage;
      const choice = chunk.choices?.[0];
      // The first chunk of a chat and the last of any answer carry a role or a reason, and no token.
      if (!(choice?.text || choice?.delta?.content || choice?.delta?.reasoning_content)) return;
      if (answer.chunks === 0) answer.firstAt = now;
      else answer.gapsMs.push(now - answer.lastAt);
      answer.lastAt = now;
      answer.chunks++;
      onChunk();
    },
  });
  const decoder = new TextDecoder();
  return {
    answer,
    read(bytes) {
      now = performance.now();
      parser.feed(decoder.decode(bytes, { stream: true }));
    },
  };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
