import { pieceFrom } from '../../os/log-tail.ts';

const READ_MS = 500;

/** Says each line that is added to a file. */
export class OutputMirror {
  readonly #file: string;
  readonly #say: (line: string) => void;
  #offset = 0;
  #unfinished = '';
  #timer: NodeJS.Timeout | undefined;
  #reading = Promise.resolve();

  constructor(file: string, say: (line: string) => void) {
    this.#file = file;
    this.#say = say;
  }

  begin(): void {
    this.#timer = setInterval(() => {
      this.#reading = this.#reading.then(() => this.#read());
    }, READ_MS);
  }

  /** Says what is left, also a last line without an end. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading.then(() => this.#read());
    if (this.#unfinished !== '') this.#say(this.#unfinished);
    this.#unfinished = '';
  }

  /** A file that is not there yet is read later. */
  async #read(): Promise<void> {
    for (;;) {
      const piece = await pieceFrom(this.#file, this.#offset).catch(() => undefined);
      if (!piece || piece.text === '') return;
      this.#offset = piece.offset;
      const lines = (this.#unfinished + piece.text).split('\n');
      this.#unfinished = lines.pop() ?? '';
      for (const line of lines) this.#say(line);
    }
  }
}
