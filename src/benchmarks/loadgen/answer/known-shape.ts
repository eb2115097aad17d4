import { carriedBy, readChunk } from './chunk.ts';

const [QUOTE, BACKSLASH, LOWEST] = [0x22, 0x5c, 0x20];
/** What may follow a backslash in a JSON string. `\u` has its own rules, and is left to JSON.parse. */
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'));
const BEFORE = 'data: ';
const AFTER = '\n\n';
/** No token is this text. */
const STAND_IN = 'srtctl\u{fffe}';
/** A stream whose chunks always differ otherwise is not learned again for so many chunks at most. */
const MOST_PATIENCE = 64;

/**
 * The chunks of one stream differ in the token's text alone. This remembers the bytes before and after that
 * text, and recognises further chunks by them, which costs a tenth of JSON.parse.
 *
 * It recognises exactly what JSON.parse would read as the learned chunk with another text: the place of the
 * text is proved when it is learned, by parsing the chunk with a stand-in there.
 */
export class KnownShape {
  #before: Pattern | undefined;
  #after = new Pattern('');
  #mayBeEmpty = false;
  /** How many more unknown chunks pass before one is learned. */
  #patience = 0;
  #lastPatience = 0;

  /** Returns the position after an event of this shape that begins at `from`, or -1. */
  match(bytes: Buffer, from: number, to: number): number {
    const before = this.#before;
    if (before === undefined) return -1;
    const begin = from + before.length;
    const after = this.#after;
    if (begin + after.length > to) return -1;
    const view = viewOf(bytes);
    if (!before.isAt(view, from)) return -1;
    let at = begin;
    for (;;) {
      if (at >= to) return -1;
      const byte = bytes[at] as number;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        if (!ESCAPED.has(bytes[++at] ?? 0)) return -1;
      } else if (byte < LOWEST) return -1;
      at++;
    }
    const end = at + after.length;
    if (end > to || (at === begin && !this.#mayBeEmpty) || !after.isAt(view, at)) return -1;
    this.#lastPatience = 0;
    return end;
  }

  /** Learns from a chunk that was read as output, and that `match` did not know. */
  learn(data: string): void {
    if (this.#patience > 0) {
      this.#patience--;
      return;
    }
    this.#lastPatience = Math.min(2 * this.#lastPatience + 1, MOST_PATIENCE);
    this.#patience = this.#lastPatience - 1;
    for (const key of ['text', 'content', 'reasoning_content', 'reasoning'] as const) {
      const place = placeOf(key, data);
      if (!place) continue;
      const [before, after] = [data.slice(0, place[0]), data.slice(place[1])];
      if (!isProved(key, before, after)) continue;
      this.#before = new Pattern(BEFORE + before);
      this.#after = new Pattern(after + AFTER);
      this.#mayBeEmpty = key === 'text';
      return;
    }
  }
}

/** Whether the chunk is plain output for any text between `before` and `after`. */
function isProved(
  key: 'text' | 'content' | 'reasoning_content' | 'reasoning',
  before: string,
  after: string,
) {
  const chunk = readChunk(before + STAND_IN + after);
  if (!chunk?.choices || chunk.usage || chunk.error != null || chunk.object === 'error') return false;
  const [choice, ...others] = chunk.choices;
  if (!choice || others.length > 0 || choice.finish_reason != null) return false;
  const value = key === 'text' ? choice.text : choice.delta?.[key];
  return value === STAND_IN && carriedBy([choice], true) === 'output';
}

/** Where the string of the first such key begins and ends, without its quotes. */
function placeOf(key: string, data: string): readonly [number, number] | undefined {
  const found = new RegExp(`"${key}": ?"((?:[^"\\\\]|\\\\.)*)"`).exec(data);
  if (!found) return undefined;
  const end = found.index + found[0].length - 1;
  return [end - (found[1] ?? '').length, end];
}

/**
 * Bytes to be recognised, eight at a time, because a call of Buffer's compare costs more than all of these. As
 * numbers they are equal only when all their bits are: text has no zero bytes, and what is no number equals nothing, so such
 * a chunk is read the long way.
 */
class Pattern {
  readonly length: number;
  readonly #words: Float64Array;
  readonly #rest: Uint8Array;

  constructor(text: string) {
    const bytes = Buffer.from(text);
    this.length = bytes.length;
    const whole = bytes.length >> 3;
    this.#words = new Float64Array(whole);
    for (let word = 0; word < whole; word++) this.#words[word] = bytes.readDoubleLE(8 * word);
    this.#rest = Uint8Array.from(bytes.subarray(8 * whole));
  }

  /** Whether it stands at `from`; the view has enough bytes after that. */
  isAt(view: DataView, from: number): boolean {
    const words = this.#words;
    let at = from;
    for (let word = 0; word < words.length; word++, at += 8)
      if (view.getFloat64(at, true) !== words[word]) return false;
    const rest = this.#rest;
    for (let byte = 0; byte < rest.length; byte++) if (view.getUint8(at + byte) !== rest[byte]) return false;
    return true;
  }
}

let lastBytes: Buffer = Buffer.alloc(0);
let lastView = new DataView(lastBytes.buffer, lastBytes.byteOffset, 0);

/** A view of the bytes. All reads have one buffer, so it is made once. */
function viewOf(bytes: Buffer): DataView {
  if (bytes !== lastBytes) {
    lastView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    lastBytes = bytes;
  }
  return lastView;
}
