import { join } from 'node:path';
import * as z from 'zod';
import { directoryOf, readJson } from './model-files.ts';

/** Token ids of a vocabulary, according to the files of its model. */
export interface Vocabulary {
  /** Ids are below this. */
  readonly size: number;
  /** Ids without text: beginnings, ends, roles, padding. */
  readonly special: ReadonlySet<number>;
}

const id = z.number().int().nonnegative();
const ids = z.union([id.transform((one) => [one]), z.array(id)]).nullish();
const sizesSchema = z.looseObject({ vocab_size: id.nullish() });
const configSchema = sizesSchema.extend({
  text_config: sizesSchema.nullish(),
  llm_config: sizesSchema.nullish(),
  language_config: sizesSchema.nullish(),
  bos_token_id: ids,
  eos_token_id: ids,
  pad_token_id: ids,
});
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id })).nullish(),
  model: z
    .looseObject({ vocab: z.union([z.record(z.string(), id), z.array(z.unknown())]).nullish() })
    .nullish(),
});
const tokenizerConfigSchema = z.looseObject({
  added_tokens_decoder: z.record(z.string(), z.unknown()).nullish(),
});

/**
 * Reads the vocabulary of a model from its directory, or from the hub's cache when `model` is `org/name`.
 * undefined when neither its config nor its tokenizer can be read here.
 */
export async function readVocabulary(
  model: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Vocabulary | undefined> {
  const directory = await directoryOf(model, env);
  if (directory === undefined) return undefined;
  const [config, tokenizer, tokenizerConfig] = await Promise.all([
    readJson(join(directory, 'config.json'), configSchema),
    readJson(join(directory, 'tokenizer.json'), tokenizerSchema),
    readJson(join(directory, 'tokenizer_config.json'), tokenizerConfigSchema),
  ]);
  const sizes = [
    ...[config, config?.text_config, config?.llm_config, config?.language_config].map(
      (part) => part?.vocab_size,
    ),
    sizeOf(tokenizer?.model?.vocab),
  ].filter((size): size is number => typeof size === 'number' && size > 0);
  if (sizes.length === 0) return undefined;
  const special = [
    ...(tokenizer?.added_tokens ?? []).map((token) => token.id),
    ...Object.keys(tokenizerConfig?.added_tokens_decoder ?? {}).map(Number),
    ...(config?.bos_token_id ?? []),
    ...(config?.eos_token_id ?? []),
    ...(config?.pad_token_id ?? []),
  ];
  // Weights are often padded to more rows than the tokenizer has tokens; the smaller number is safe for both.
  return { size: Math.min(...sizes), special: new Set(special) };
}

function sizeOf(vocab: Record<string, number> | unknown[] | null | undefined): number | undefined {
  if (!vocab) return undefined;
  if (Array.isArray(vocab)) return vocab.length;
  let most = -1;
  for (const token in vocab) most = Math.max(most, vocab[token] ?? -1);
  return most + 1;
}

/**
 * Token ids for prompts: those that every vocabulary of this size has, and that are not special in any known
 * one.
 */
const USUAL = { from: 1_000, count: 20_000 };

/** The ids for prompts. The first quarter of a small vocabulary is left out, because it is mostly bytes. */
export function ordinaryIds(vocabulary: Vocabulary | undefined): number[] {
  const size = vocabulary?.size ?? Number.POSITIVE_INFINITY;
  const from = Math.min(USUAL.from, Math.floor(size / 4));
  const to = Math.min(size, from + USUAL.count);
  const found: number[] = [];
  for (let one = from; one < to; one++) if (!vocabulary?.special.has(one)) found.push(one);
  if (found.length === 0) throw new Error(`a vocabulary of ${size} tokens has none to make prompts of`);
  return found;
}
