import type { ChatTemplate } from './chat-template.ts';
import { oneOf, seededRandom, shuffled } from './random.ts';
import type { Tokenizer } from './tokenizer.ts';

/** The part that prompts have in common: its tokens from the begin, and where they come from. */
export interface Shared {
  readonly tokens: number;
  readonly random: () => number;
}

/** Makes texts of an exact length in tokens. */
export interface ExactTexts {
  /** Tokens of a prompt besides its content: the template, and what the tokenizer adds. */
  readonly around: number;
  /**
   * A random text that is `tokens` long with the template around it, which is more than `around`. The first
   * tokens of it come from `shared`. `tokens` of the answer are those that the text has; they differ from what
   * was asked only for a tokenizer that cannot write such a length.
   */
  text(
    tokens: number,
    random: () => number,
    shared?: Shared,
  ): { readonly text: string; readonly tokens: number };
}

/** Pieces of a pool: enough for 13 random bits a token. A larger one takes longer to check. */
const MOST_PIECES = 8_192;
/** With fewer the prompts would repeat themselves. */
const FEWEST_PIECES = 24;
/** Pieces that are encoded at once when a pool is checked. */
const AT_ONCE = 256;
/** Texts that prove a pool, with their lengths in pieces. */
const PROOFS = [0, 1, 2, 7, 33, 150, 400];
const OPENINGS = 256;

/**
 * Exact texts by a tokenizer. The random data sets of vLLM (vllm/benchmarks/datasets.py at 0056b87) and of
 * NVIDIA/srt-slurm 1.0.68 (sa-bench, benchmark_serving.py) decode random ids, encode the text and cut it, which may
 * leave another length, and takes up to 0.1 ms a token in JavaScript. Here a text is made of pieces that are one
 * token each in any order, because the tokenizer splits a text before it looks for tokens; the pool is checked by
 * encoding random texts. Only when there are too few pieces, each text is encoded and adjusted.
 */
export function exactTexts(tokenizer: Tokenizer, frame: ChatTemplate = (content) => content): ExactTexts {
  const random = seededRandom(1);
  for (const candidates of [words(tokenizer), CHARACTERS]) {
    const pieces = stablePieces(tokenizer, shuffled(candidates, random).slice(0, MOST_PIECES));
    const made = pieces.length < FEWEST_PIECES ? undefined : ofPieces(tokenizer, frame, pieces, random);
    if (made) return made;
  }
  return adjusted(tokenizer, frame);
}

/** Words of the vocabulary that tokenizers keep together: letters after a space. Written as in a text. */
function words({ vocabulary }: Tokenizer): string[] {
  const found: string[] = [];
  // WordPiece writes the middle of a word as ##ing, and a beginning without a mark.
  const bare = vocabulary.has('##s') || vocabulary.has('##e');
  const pattern = bare ? /^()([a-z]{2,})$/ : /^([\u0120\u2581])([A-Za-z]{2,})$/;
  for (const token of vocabulary.keys()) {
    const [, , word] = pattern.exec(token) ?? [];
    if (word !== undefined) found.push(` ${word}`);
  }
  return found;
}

const CHARACTERS = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'];

/** The pieces that are one token each between others. */
function stablePieces(tokenizer: Tokenizer, candidates: readonly string[]): string[] {
  const stable: string[] = [];
  const alone = tokenizer.encode('x x').length;
  // Halves what does not fit, because one piece of several tokens shifts all that follow.
  const check = (some: readonly string[]): void => {
    if (tokenizer.encode(`x${some.join('')} x`).length === alone + some.length) stable.push(...some);
    else if (some.length > 1) {
      check(some.slice(0, some.length >> 1));
      check(some.slice(some.length >> 1));
    }
  };
  for (let at = 0; at < candidates.length; at += AT_ONCE) check(candidates.slice(at, at + AT_ONCE));
  return stable;
}

function ofPieces(
  tokenizer: Tokenizer,
  frame: ChatTemplate,
  pieces: readonly string[],
  random: () => number,
): ExactTexts | undefined {
  // A template may trim the message, and a tokenizer may treat the begin of a text in its own way: so a text
  // opens with a piece without its space, of those whose cost is the usual one.
  const opened = (opening: string, count: number) =>
    tokenizer.count(frame(opening + joined(pieces, count, random))) - count;
  const candidates = shuffled(pieces, random)
    .slice(0, OPENINGS)
    .map((piece) => piece.trimStart());
  const costs = candidates.map((piece) => opened(piece, 4));
  const least = Math.min(...costs);
  const openings = candidates.filter((_, at) => costs[at] === least);
  const isProved = PROOFS.every((count) => opened(oneOf(random, openings), count) === least);
  return isProved ? rowsOf(pieces, openings, least) : undefined;
}

/**
 * Texts of an opening, which costs `least` tokens with all that is around a text, and pieces. It does not keep the
 * tokenizer, which has 100 MB and more.
 */
const rowsOf = (pieces: readonly string[], openings: readonly string[], least: number): ExactTexts => ({
  around: least - 1,
  text(tokens, random, shared) {
    const all = Math.max(0, tokens - least);
    const isShared = shared !== undefined && shared.tokens >= least;
    const common = isShared ? Math.min(all, shared.tokens - least) : 0;
    const opening = oneOf(isShared ? shared.random : random, openings);
    const start = isShared ? joined(pieces, common, shared.random) : '';
    return { text: opening + start + joined(pieces, all - common, random), tokens: least + all };
  },
});

function joined(pieces: readonly string[], count: number, random: () => number): string {
  let text = '';
  for (let at = 0; at < count; at++) text += oneOf(random, pieces);
  return text;
}

/** Tries until a text has its length. Most have it after three. */
const TRIES = 30;

/** Any tokenizer: decodes random ids, encodes, and cuts or adds until the length is right. */
function adjusted(tokenizer: Tokenizer, frame: ChatTemplate): ExactTexts {
  const ids = [...tokenizer.vocabulary.values()].filter((id) => printable(tokenizer.decode([id])));
  if (ids.length === 0) throw new Error('the vocabulary of the tokenizer has no token with a text');
  const some = (count: number, from: () => number): number[] =>
    Array.from({ length: count }, () => oneOf(from, ids));
  const around = tokenizer.count(frame('a')) - tokenizer.encode('a').length;
  return {
    around,
    text(tokens, from, shared) {
      const share = shared ? Math.max(0, shared.tokens - around) : 0;
      const common = shared
        ? tokenizer.decode(tokenizer.encode(tokenizer.decode(some(share, shared.random))).slice(0, share))
        : '';
      let text = common + tokenizer.decode(some(Math.max(1, tokens - around - share), from));
      let best = { text, tokens: tokenizer.count(frame(text)) };
      for (let tries = 0; best.tokens !== tokens && tries < TRIES; tries++) {
        const found = tokenizer.encode(text);
        const surplus = tokenizer.count(frame(text)) - tokens;
        text =
          surplus > 0
            ? tokenizer.decode(found.slice(0, Math.max(1, found.length - surplus)))
            : text + tokenizer.decode(some(Math.max(1, -surplus), from));
        const now = tokenizer.count(frame(text));
        if (Math.abs(now - tokens) < Math.abs(best.tokens - tokens)) best = { text, tokens: now };
      }
      return best;
    },
  };
}

const printable = (text: string): boolean => /^[\x20-\x7e]+$/.test(text) && text.trim() !== '';
