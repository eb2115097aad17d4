import type { LinearPattern } from '../../messages/spec/linear-pattern.ts';
import { pieceFrom } from '../../os/log-tail.ts';

/** Characters of a line that srtctl's own patterns are compared with, and that are reported. */
const LINE_CHARS = 500;
/** Characters of a line that are read, so that no line takes long. */
const MOST_CHARS = 10_000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal
const COLOURS = /\u001b\[[0-9;]*m/g;

/** Searches a growing log for a line: each call reads the text since the previous one. */
export class LineWatch {
  readonly #file: string;
  readonly #own: readonly RegExp[];
  readonly #others: readonly LinearPattern[];
  #offset: number;
  #rest = '';

  /** @param patterns srtctl's own regular expressions, which do not backtrack, or those of others */
  constructor(file: string, from: number, ...patterns: readonly (string | LinearPattern)[]) {
    this.#file = file;
    this.#offset = from;
    this.#own = patterns.flatMap((pattern) => (typeof pattern === 'string' ? [new RegExp(pattern)] : []));
    this.#others = patterns.flatMap((pattern) => (typeof pattern === 'string' ? [] : [pattern]));
  }

  /**
   * The first new line that matches any pattern; undefined while there is none, or when the log cannot be
   * read.
   */
  async look(): Promise<string | undefined> {
    for (;;) {
      const piece = await pieceFrom(this.#file, this.#offset).catch(() => undefined);
      if (piece === undefined || piece.text === '') return undefined;
      this.#offset = piece.offset;
      const lines = (this.#rest + piece.text).split('\n');
      this.#rest = (lines.pop() ?? '').slice(0, MOST_CHARS);
      for (const line of lines) {
        const plain = withoutColours(line);
        const start = plain.slice(0, LINE_CHARS);
        if (this.#own.some((pattern) => pattern.test(start))) return start.trim();
        if (this.#others.some((pattern) => pattern.test(plain))) return start.trim();
      }
    }
  }
}

const withoutColours = (line: string): string => {
  const most = line.length > MOST_CHARS ? line.slice(0, MOST_CHARS) : line;
  return most.includes('\u001b') ? most.replaceAll(COLOURS, '') : most;
};
