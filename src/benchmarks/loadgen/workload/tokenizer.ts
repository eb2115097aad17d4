import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { readJson } from './model-files.ts';

/** A model's own tokenizer, as engines load it from its tokenizer.json. */
export interface Tokenizer {
  /** Number of tokens of a text, with those that the tokenizer adds by itself, as a beginning of the text. */
  count(text: string): number;
  /** Ids of a text alone. */
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
  /** The vocabulary, without added tokens: id by token as it is written in tokenizer.json. */
  readonly vocabulary: ReadonlyMap<string, number>;
}

/** The special tokens that a chat template may name. */
const tokenSchema = z.union([
  z.string(),
  z.looseObject({ content: z.string() }).transform((one) => one.content),
]);
const optionalToken = tokenSchema.nullish().catch(undefined);
export const tokenizerConfigSchema = z.looseObject({
  bos_token: optionalToken,
  eos_token: optionalToken,
  pad_token: optionalToken,
  unk_token: optionalToken,
  chat_template: z
    .union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))])
    .nullish()
    .catch(undefined),
});
export type TokenizerConfig = z.infer<typeof tokenizerConfigSchema>;

export const readTokenizerConfig = (directory: string): Promise<TokenizerConfig | undefined> =>
  readJson(join(directory, 'tokenizer_config.json'), tokenizerConfigSchema);

/**
 * Reads tokenizer.json of a directory (BPE, Unigram and WordPiece, by @huggingface/tokenizers, which is loaded
 * only here). undefined without that file; throws when it cannot be used.
 */
export async function readTokenizer(directory: string): Promise<Tokenizer | undefined> {
  const file = join(directory, 'tokenizer.json');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const config = (await readTokenizerConfig(directory)) ?? {};
  const library = await import('@huggingface/tokenizers');
  try {
    const inner = new library.Tokenizer(JSON.parse(text) as object, config);
    return {
      count: (given) => inner.encode(given).ids.length,
      encode: (given) => inner.encode(given, { add_special_tokens: false }).ids,
      decode: (ids) =>
        ids.length === 0
          ? ''
          : inner.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
      vocabulary: inner.get_vocab(false),
    };
  } catch (error) {
    throw new Error(`${file} cannot be used as a tokenizer: ${(error as Error).message}`, { cause: error });
  }
}
