import type { PromptSource } from './prompt.ts';

/** Tokens that a deployment adds to a prompt, or does not add though the tokenizer says so. */
const MOST = { template: 512, text: 2 } as const;

/**
 * Prompts become shorter by the tokens that the deployment adds to each, as its usage tells for one prompt: then
 * their lengths are as asked. Engines differ in whether they begin a prompt with the tokenizer's special token
 * (vLLM does, Dynamo's frontend does not), and their chat template may be another than the client's. A larger difference is a
 * warning, and the prompts stay, because then the tokenizer is not that of the deployment.
 * @param added tokens that the deployment counted beyond those of the prompt
 */
export function makeRoom(source: PromptSource, added: number, say: (text: string) => void): void {
  if (added === 0 || !source.makeRoomFor) return;
  const { chatTemplate, tokenizer } = source.facts;
  const most = chatTemplate === 'engine' ? MOST.template : MOST.text;
  const difference = `the deployment counts ${Math.abs(added)} prompt tokens ${added > 0 ? 'more' : 'fewer'}`;
  if (Math.abs(added) <= most) {
    source.makeRoomFor(added);
    say(`${difference} than the tokenizer: the lengths of prompts allow for them`);
    return;
  }
  say(`warning: ${difference} than ${tokenizer ?? 'the tokenizer'}: is that the tokenizer of this model?`);
}
