import { pieceFrom } from '../log-tail.ts';

/** Characters of a line that are passed on. */
const LINE_CHARS = 500;
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal
const COLOURS = /\u001b\[[0-9;]*m/g;

/** Waits for a line in a log that grows: each look reads what has come since the one before. */
export class LineWatch {
  readonly #file: string;
  readonly #pattern: RegExp;
  #offset: number;
  #rest = '';

  constructor(file: string, from: number, pattern: string) {
    this.#file = file;
    this.#offset = from;
    this.#pattern = new RegExp(pattern);
  }

  /** The first new line that matches; undefined while there is none, also when the log cannot be read. */
  async look(): Promise<string | undefined> {
    for (;;) {
      const piece = await pieceFrom(this.#file, this.#offset).catch(() => undefined);
      if (piece === undefined || piece.text === '') return undefined;
      this.#offset = piece.offset;
      const lines = (this.#rest + piece.text).split('\n');
      this.#rest = (lines.pop() ?? '').slice(-LINE_CHARS);
      const found = lines
        .map((line) => line.replaceAll(COLOURS, ''))
        .find((line) => this.#pattern.test(line));
      if (found !== undefined) return found.trim().slice(0, LINE_CHARS);
    }
  }
}
