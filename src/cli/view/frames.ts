const ESC = '\u001b[';
/** A terminal that supports these sequences shows everything between them at once; others ignore them. */
const [AT_ONCE, SHOWN] = [`${ESC}?2026h`, `${ESC}?2026l`];
const ERASE_BELOW = `${ESC}J`;
const CLEAR = `${ESC}H${ESC}2J`;

/**
 * Draws one picture in the place of the last one. Erases the whole last picture first, because moving or keeping single
 * lines leaves remains. Clears the whole terminal after a resize, because the position of the last picture is unknown.
 */
export class Frames {
  readonly #out: NodeJS.WriteStream;
  #rows = 0;
  #isMoved = false;
  readonly #onResize = (): void => {
    this.#isMoved = true;
  };

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    out.on('resize', this.#onResize);
  }

  /** `picture`: lines that fit into the terminal, and one row fewer than it has. */
  draw(picture: string): void {
    const up = this.#rows === 0 ? '' : `${ESC}${this.#rows}A\r${ERASE_BELOW}`;
    const erase = this.#isMoved ? CLEAR : up;
    this.#out.write(`${AT_ONCE}${erase}${picture}\n${SHOWN}`);
    this.#rows = picture.split('\n').length;
    this.#isMoved = false;
  }

  /** Keeps the last picture; later output starts below it. */
  end(): void {
    this.#out.off('resize', this.#onResize);
  }
}
