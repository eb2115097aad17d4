import { pieceFrom } from '../../os/log-tail.ts';

/** Characters of a line that are examined and reported, so that no line takes long. */
const LINE_CHARS = 500;
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal
const COLOURS = /\u001b\[[0-9;]*m/g;

/** Searches a growing log for a line: each call reads the text since the previous one. */
export class LineWatch {
  readonly #file: string;
  readonly #patterns: readonly RegExp[];
  #offset: number;
  #rest = '';

  constructor(file: string, from: number, ...patterns: readonly string[]) {
    this.#file = file;
    this.#offset = from;
    this.#patterns = patterns.map((pattern) => new RegExp(pattern));
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
      this.#rest = (lines.pop() ?? '').slice(0, 2 * LINE_CHARS);
      for (const line of lines) {
        const plain = withoutColours(line).slice(0, LINE_CHARS);
        if (this.#patterns.some((pattern) => pattern.test(plain))) return plain.trim();
      }
    }
  }
}

const withoutColours = (line: string): string => {
  const most = line.length > 2 * LINE_CHARS ? line.slice(0, 2 * LINE_CHARS) : line;
  return most.includes('\u001b') ? most.replaceAll(COLOURS, '') : most;
};
