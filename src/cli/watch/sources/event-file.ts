import { parseEvents, type SrtEvent } from '../../../messages/events/events.ts';
import { pieceFrom } from '../../../os/log-tail.ts';

/** Pieces that are read before others get their turn: 2 MiB, whose events are parsed in some 100 ms. */
const PIECES = 8;

/** Reads a job's events.jsonl as it grows. */
export class EventFile {
  readonly #path: string;
  #offset = 0;
  /** The begin of a line whose end is not there yet. */
  #rest = '';

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Gives the events since the last call to `take`, in order. Resolves at the end of the file, or after a while: then
   * with true, because there is more. A file that is not there has no events.
   */
  async read(take: (event: SrtEvent) => void): Promise<boolean> {
    for (let count = 0; count < PIECES; count++) {
      const piece = await pieceFrom(this.#path, this.#offset).catch(() => undefined);
      if (!piece || piece.text === '') return false;
      this.#offset = piece.offset;
      const text = this.#rest + piece.text;
      const end = text.lastIndexOf('\n') + 1;
      this.#rest = text.slice(end);
      for (const event of parseEvents(text.slice(0, end))) take(event);
    }
    return true;
  }
}
