import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Prompt } from './prompt.ts';
import { shuffled } from './random.ts';
import type { FileDataset } from './settings.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Length of an answer where the file has none, as in sa-bench. */
const DEFAULT_ANSWER = 128;
/** Lengths that the reference keeps of ShareGPT, in tokens. */
const SHAREGPT = { shortest: 4, longestPrompt: 1_024, longestInAll: 2_048 };

interface Wanted {
  readonly name: FileDataset;
  readonly path: string;
  /** Length of each answer in tokens; null = what the file has. Of ShareGPT alone, as in sa-bench. */
  readonly osl: number | null;
  /** As many as the benchmark can send; Infinity for a run by time. */
  readonly most: number;
}

/**
 * The requests of a data set, in a random order; at most `most`. Without a tokenizer a token counts as four
 * characters, as in sa-bench. Throws when the file is missing, cannot be read, or has no request.
 */
export async function readDataset(
  { name, path, osl, most }: Wanted,
  tokenizer: Tokenizer | undefined,
  random: () => number,
): Promise<Prompt[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'there is no such file' : error.message;
    throw new Error(`benchmark.dataset_path: ${path}: ${why}`, { cause: error });
  });
  const count = (given: string): number =>
    tokenizer ? tokenizer.count(given) : Math.floor(given.length / CHARACTERS_A_TOKEN);
  const found: Prompt[] = [];
  const requests = name === 'sharegpt' ? shareGpt(path, text) : customLines(path, text);
  for (const read of shuffled(requests, random)) {
    if (found.length >= most) break;
    const prompt = read(count, osl);
    if (prompt)
      found.push({ ...prompt, ...(tokenizer && prompt.isExact !== false ? { isExact: true } : {}) });
  }
  if (found.length === 0) throw new Error(`benchmark.dataset_path: ${path} has no request that can be used`);
  return found;
}

const CHARACTERS_A_TOKEN = 4;

/** Counts the tokens of an entry, and makes its request; undefined = it is left out. */
type Entry = (count: (text: string) => number, osl: number | null) => Prompt | undefined;

const shareGptSchema = z.array(
  z.looseObject({ conversations: z.array(z.looseObject({ value: z.string() })).catch([]) }),
);

/**
 * ShareGPT's JSON: the first message of a conversation and the length of the second one. Very short and very
 * long ones are left out, by the limits of sa-bench (NVIDIA/srt-slurm 1.0.68, benchmark_serving.py,
 * sample_sharegpt_requests).
 */
function shareGpt(path: string, text: string): Entry[] {
  const parsed = shareGptSchema.safeParse(jsonOf(path, text));
  if (!parsed.success)
    throw new Error(
      `benchmark.dataset_path: ${path} is not ShareGPT's JSON: a list of {"conversations": […]}`,
    );
  return parsed.data.flatMap(({ conversations: [question, answer] }): Entry[] => {
    if (!question || !answer) return [];
    return [
      (count, osl) => {
        const inputTokens = count(question.value);
        const outputTokens = osl ?? count(answer.value);
        const { shortest, longestPrompt, longestInAll } = SHAREGPT;
        if (inputTokens < shortest || outputTokens < (osl === null ? shortest : 1)) return undefined;
        if (inputTokens > longestPrompt || inputTokens + outputTokens > longestInAll) return undefined;
        return { content: question.value, inputTokens, outputTokens };
      },
    ];
  });
}

const length = z.number().nullish().catch(undefined);
const lineSchema = z.looseObject({
  input: z
    .looseObject({
      messages: z.array(z.looseObject({ role: z.string().nullish(), content: z.unknown() })).default([]),
      max_tokens: length,
      num_tokens: length,
    })
    .optional(),
  prompt: z.string().nullish(),
  expected_output_len: length,
  max_tokens: length,
  prompt_len: length,
});

/**
 * sa-bench's custom data set (NVIDIA/srt-slurm 1.0.68, benchmark_dataset.py), a JSON object a line: `prompt` with
 * `expected_output_len`, or `input` with `messages` and `max_tokens`. The last message of a
 * user is sent.
 */
function customLines(path: string, text: string): Entry[] {
  return text.split('\n').flatMap((line, at): Entry[] => {
    if (line.trim() === '') return [];
    const parsed = lineSchema.safeParse(jsonOf(`${path}, line ${at + 1}`, line));
    if (!parsed.success)
      throw new Error(
        `benchmark.dataset_path: ${path}, line ${at + 1} is no request: ${firstIssue(parsed.error)}`,
      );
    const { input, prompt, expected_output_len, max_tokens, prompt_len } = parsed.data;
    const content = input ? userMessage(input.messages) : prompt;
    if (!content) return [];
    const answer = (input ? input.max_tokens : expected_output_len || max_tokens) || DEFAULT_ANSWER;
    const given = input ? input.num_tokens : prompt_len;
    return [
      (count) => ({
        content,
        outputTokens: Math.max(1, Math.floor(answer)),
        ...(given != null && given >= 1
          ? { inputTokens: Math.floor(given), isExact: false }
          : { inputTokens: Math.max(1, count(content)) }),
      }),
    ];
  });
}

function userMessage(messages: readonly { role?: string | null | undefined; content?: unknown }[]): string {
  const one = messages.findLast(({ role, content }) => role === 'user' && content) ?? messages.at(-1);
  return typeof one?.content === 'string' ? one.content : '';
}

function jsonOf(place: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`benchmark.dataset_path: ${place}: not JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

const firstIssue = ({ issues: [issue] }: z.ZodError): string =>
  [issue?.path.join('.'), issue?.message].filter(Boolean).join(': ');
