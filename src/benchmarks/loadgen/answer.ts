import * as z from 'zod';
import { readEvents } from './events.ts';

const usageSchema = z.object({
  prompt_tokens: z.number().int().optional(),
  completion_tokens: z.number().int(),
});
const text = z.string().nullish();
const choiceSchema = z.object({
  text,
  // Reasoning is `reasoning_content` in SGLang and in older vLLM, `reasoning` in newer vLLM and in Dynamo.
  delta: z.object({ role: text, content: text, reasoning_content: text, reasoning: text }).nullish(),
  finish_reason: z.unknown().optional(),
});
const chunkSchema = z.object({
  choices: z.array(choiceSchema).nullish(),
  usage: usageSchema.nullish(),
  error: z.unknown().optional(),
  /** vLLM's and SGLang's errors without an `error` key have `object: "error"`. */
  object: z.unknown().optional(),
  message: z.unknown().optional(),
});
type Choice = z.infer<typeof choiceSchema>;

/** The streamed answer so far. Times are those of the read that returned the bytes. */
export interface Answer {
  firstAt: number;
  lastAt: number;
  /** Gaps in ms between chunks that carry tokens. */
  readonly gapsMs: number[];
  /** Chunks that carry tokens. */
  chunks: number;
  usage: z.infer<typeof usageSchema> | undefined;
  /** The closing [DONE] has arrived. */
  finished: boolean;
  error: string | null;
}

/**
 * Reads an answer streamed as server-sent events. `read` takes bytes as they arrive, cut anywhere.
 * @param onChunk called for each chunk that carries tokens
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
  const read = readEvents(({ name, data, comment }) => {
    if (name === 'error') answer.error ??= `the stream has an error event: ${shorten(comment || data)}`;
    if (data === '') return;
    if (data === '[DONE]') {
      answer.finished = true;
      return;
    }
    const chunk = chunkSchema.safeParse(tryJson(data)).data;
    if (!chunk) {
      answer.error ??= `unreadable chunk: ${shorten(data)}`;
      return;
    }
    answer.error ??= errorIn(chunk);
    if (chunk.usage) answer.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (!choice || !carriesTokens(choice)) {
      // An answer whose tokens all decode to nothing only has the times of its chunks.
      if (choice && answer.chunks === 0) {
        answer.firstAt ||= now;
        answer.lastAt = now;
      }
      return;
    }
    if (answer.chunks === 0) answer.firstAt = now;
    else answer.gapsMs.push(now - answer.lastAt);
    answer.lastAt = now;
    answer.chunks++;
    onChunk();
  });
  return {
    answer,
    read(bytes) {
      now = performance.now();
      read(bytes);
    },
  };
}

/**
 * Whether a chunk carries tokens. A streaming engine also sends a chunk with the text "" for a token that
 * decodes to nothing. The chunk that opens a chat with a role carries none; the one that ends an answer with
 * a reason may carry none.
 */
function carriesTokens({ text, delta, finish_reason: reason }: Choice): boolean {
  if (text || delta?.content || delta?.reasoning_content || delta?.reasoning) return true;
  if (reason != null) return false;
  return text === '' || (delta?.role == null && (delta?.content === '' || delta?.reasoning === ''));
}

function errorIn({ error, object, message }: z.infer<typeof chunkSchema>): string | null {
  if (error == null) return object === 'error' ? shorten(wordsOf(message)) : null;
  if (typeof error === 'object' && 'message' in error) return shorten(wordsOf(error.message));
  return shorten(wordsOf(error));
}

const wordsOf = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? 'an error without a text');

const shorten = (words: string): string => words.slice(0, 200);

function tryJson(words: string): unknown {
  try {
    return JSON.parse(words);
  } catch {
    return undefined;
  }
}
