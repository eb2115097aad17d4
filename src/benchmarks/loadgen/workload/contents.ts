import type { ChatTemplate } from './chat-template.ts';
import type { ExactTexts, Shared } from './exact-text.ts';
import type { Prompt, WorkloadFacts } from './prompt.ts';
import { oneOf } from './random.ts';

/** Makes the contents of random prompts. */
export interface Contents {
  readonly prompts: WorkloadFacts['prompts'];
  /** Tokens of a prompt besides its random part. */
  readonly around: number;
  content(
    tokens: number,
    random: () => number,
    shared?: Shared,
  ): Pick<Prompt, 'content' | 'inputTokens' | 'isExact'>;
}

/** Text of exact lengths. `frame`: the template, where it is sent, too. */
export const textContents = (texts: ExactTexts, frame: ChatTemplate = (content) => content): Contents => ({
  prompts: 'text',
  around: texts.around,
  content(tokens, random, shared) {
    const made = texts.text(tokens, random, shared);
    return { content: frame(made.text), inputTokens: made.tokens, isExact: true };
  },
});

/** Arrays of token ids, for targets that take them. */
export const idContents = (ids: readonly number[]): Contents => ({
  prompts: 'token ids',
  around: 0,
  content: (tokens, random, shared) => ({
    content: chosen(ids, tokens, random, shared),
    inputTokens: tokens,
    isExact: true,
  }),
});

/**
 * Short and common words: with the space before it each is one token in the vocabularies of today's models.
 */
const WORDS = (
  'time year people way day man thing woman life child world school state family student group country problem ' +
  'hand part place case week company system program question work number night point home water room mother area ' +
  'money story fact month lot right study book eye job word business issue side kind head house service friend ' +
  'father power hour game line end member law car city name team minute idea body back parent face level office ' +
  'door health person art war history party result change morning reason research girl moment air teacher force'
).split(' ');

/** Words, about a token each: the lengths are what usage tells. */
export const wordContents: Contents = {
  prompts: 'words',
  around: 0,
  content: (tokens, random, shared) => ({
    content: chosen(WORDS, tokens, random, shared).join(' '),
    inputTokens: tokens,
  }),
};

/** Elements at random, the first ones from the random numbers of the shared part. */
const chosen = <T>(list: readonly T[], count: number, random: () => number, shared?: Shared): T[] =>
  Array.from({ length: count }, (_, at) =>
    oneOf(shared && at < shared.tokens ? shared.random : random, list),
  );
