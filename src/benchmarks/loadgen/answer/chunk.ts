import * as z from 'zod';
import type { Usage } from '../figures/measured.ts';

const usageSchema = z
  .object({
    prompt_tokens: z.number().int().nullish(),
    completion_tokens: z.number().int(),
    prompt_tokens_details: z.object({ cached_tokens: z.number().int().nullish() }).nullish().catch(null),
  })
  .transform(
    (usage): Usage => ({
      promptTokens: usage.prompt_tokens ?? null,
      completionTokens: usage.completion_tokens,
      cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? null,
    }),
  );
const text = z.string().nullish();
const choiceSchema = z.object({
  text,
  // Reasoning is `reasoning_content` in SGLang and in older vLLM, `reasoning` in newer vLLM and in Dynamo.
  delta: z
    .object({
      role: text,
      content: text,
      reasoning_content: text,
      reasoning: text,
      refusal: text,
      tool_calls: z.array(z.unknown()).nullish(),
      function_call: z.unknown().optional(),
    })
    .nullish(),
  finish_reason: z.unknown().optional(),
});
const chunkSchema = z.object({
  choices: z.array(choiceSchema).nullish(),
  usage: usageSchema.nullish(),
  model: z.string().nullish().catch(null),
  error: z.unknown().optional(),
  /** vLLM's and SGLang's errors without an `error` key have `object: "error"`. */
  object: z.unknown().optional(),
  message: z.unknown().optional(),
});
export type Chunk = z.infer<typeof chunkSchema>;
type Choice = z.infer<typeof choiceSchema>;

/** undefined when it is no chunk of a stream. */
export const readChunk = (data: string): Chunk | undefined => chunkSchema.safeParse(tryJson(data)).data;

/**
 * What a chunk carries. `output`: tokens. `last`: the answer's end with an empty text, which is a last token
 * that decodes to nothing, or none: usage tells. `end`: the answer's end alone. `nothing`: a chat's role,
 * usage.
 */
export type Carried = 'output' | 'last' | 'end' | 'nothing';

/** @param isFirst no chunk before carried output, so a role opens the answer */
export function carriedBy(choices: readonly Choice[], isFirst: boolean): Carried {
  let carried: Carried = 'nothing';
  for (const choice of choices) {
    const one = carriedByChoice(choice, isFirst);
    if (one === 'output') return one;
    if (one !== 'nothing') carried = one;
  }
  return carried;
}

/**
 * An engine sends a chunk also for a token that decodes to nothing: its text is "". Completions have no other
 * chunks, so each of their choices is output.
 */
function carriedByChoice({ text, delta, finish_reason: reason }: Choice, isFirst: boolean): Carried {
  if (text) return 'output';
  if (delta == null) return reason == null ? 'output' : 'last';
  const { content, reasoning_content, reasoning, refusal } = delta;
  if (content || reasoning_content || reasoning || refusal) return 'output';
  if (delta.tool_calls?.length || delta.function_call != null) return 'output';
  const isEmpty = content === '' || reasoning === '' || reasoning_content === '';
  if (reason != null) return isEmpty ? 'last' : 'end';
  return isEmpty && !(delta.role != null && isFirst) ? 'output' : 'nothing';
}

/** The text of an error in a chunk; null when there is none. */
export function errorIn({ error, object, message }: Chunk): string | null {
  if (error == null) return object === 'error' ? shorten(wordsOf(message)) : null;
  if (typeof error === 'object' && 'message' in error) return shorten(wordsOf(error.message));
  return shorten(wordsOf(error));
}

const wordsOf = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? 'an error without a text');

/** Length of an error's text that is enough to recognise it. */
const ERROR_CHARS = 200;

/** On one line. */
export const shorten = (words: string): string => words.replaceAll(/\s+/g, ' ').trim().slice(0, ERROR_CHARS);

export function tryJson(words: string): unknown {
  try {
    return JSON.parse(words);
  } catch {
    return undefined;
  }
}
