import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTokenizerConfig } from './tokenizer.ts';

/** Writes a user's message as the prompt that the model was trained on, up to where its answer begins. */
export type ChatTemplate = (content: string) => string;

/**
 * The chat template of a model: chat_template.jinja, else that of tokenizer_config.json (transformers 4.57
 * reads them in this order), by @huggingface/jinja, which is loaded only here. undefined when the model has
 * none; `problem` says why it cannot be rendered here.
 */
export async function readChatTemplate(
  directory: string,
): Promise<{ readonly render: ChatTemplate } | { readonly problem: string } | undefined> {
  const config = await readTokenizerConfig(directory);
  const inConfig = config?.chat_template;
  const source =
    (await readFile(join(directory, 'chat_template.jinja'), 'utf8').catch(() => undefined)) ??
    (Array.isArray(inConfig) ? inConfig.find(({ name }) => name === 'default')?.template : inConfig);
  if (source == null || source === '') return undefined;
  const { Template } = await import('@huggingface/jinja');
  const tokens = Object.fromEntries(
    (['bos_token', 'eos_token', 'pad_token', 'unk_token'] as const).map((key) => [key, config?.[key] ?? '']),
  );
  try {
    const template = new Template(source);
    const render = (content: string): string =>
      template.render({ ...tokens, messages: [{ role: 'user', content }], add_generation_prompt: true });
    const problem = render('a b').includes('a b') ? undefined : 'it leaves out the message';
    return problem === undefined ? { render } : { problem };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}
