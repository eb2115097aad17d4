import { setImmediate } from 'node:timers/promises';
import {
  type BrotliDecompress,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  type Gunzip,
  type Inflate,
} from 'node:zlib';

/** Encodings of a body (RFC 9110, 8.4.1) that Node decodes on every release it runs on here. */
const DECODERS: Readonly<Record<string, () => Gunzip | Inflate | BrotliDecompress>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** Whether a body with this `content-encoding` can be decoded. */
export const canDecode = (encoding: string): boolean => Object.hasOwn(DECODERS, encoding);

/**
 * Decodes a compressed body as it arrives. What a piece decodes to has the time at which that piece was read, because the
 * decoder runs on another thread and comes back later.
 */
export class DecodedBody {
  readonly #stream: Gunzip | Inflate | BrotliDecompress;
  #now = 0;
  #queue: Promise<void> = Promise.resolve();
  #error: string | null = null;

  /** @param onDecoded called with each decoded piece and its time */
  constructor(encoding: string, onDecoded: (bytes: Buffer, now: number) => void) {
    const make = DECODERS[encoding];
    if (!make) throw new RangeError(`the encoding ${encoding} cannot be decoded`);
    this.#stream = make();
    this.#stream.on('data', (bytes: Buffer) => onDecoded(bytes, this.#now));
    this.#stream.on('error', ({ message }) => {
      this.#error ??= `the ${encoding} encoding of the answer is broken: ${message}`;
    });
  }

  /** Takes a copy of bytes `from` to `to`, which were read at `now`. */
  add(bytes: Buffer, from: number, to: number, now: number): void {
    const piece = Buffer.from(bytes.subarray(from, to));
    this.#queue = this.#queue.then(async () => {
      if (this.#error !== null) return;
      this.#now = now;
      await this.#done((then) => this.#stream.write(piece, then));
      // A stream may hand over what it decoded only after it says that it took the piece.
      await setImmediate();
    });
  }

  /** Resolves when all that came is decoded, with why it cannot be, or null. */
  async end(): Promise<string | null> {
    await this.#queue;
    if (this.#error === null) await this.#done((then) => this.#stream.end(then));
    await setImmediate();
    this.#stream.destroy();
    return this.#error;
  }

  /** An error may come in place of the call. */
  #done(start: (then: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#stream.off('error', finish);
        resolve();
      };
      this.#stream.once('error', finish);
      start(finish);
    });
  }
}
