import type { Socket } from 'node:net';
import type * as z from 'zod';
import { parseJson } from '../../common/parse-json.ts';

/** Figures of a large run are a few MiB. */
const MOST_BYTES = 256 * 1024 * 1024;

/** JSON messages over a connection, one on a line. */
export class Lines<Received, Sent> {
  readonly #socket: Socket;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /**
   * @param onMessage called for each message
   * @param onEnd called once, with the reason
   */
  constructor(
    socket: Socket,
    schema: z.ZodType<Received>,
    onMessage: (message: Received) => void,
    onEnd: (why: string) => void,
  ) {
    this.#socket = socket;
    let hasEnded = false;
    const end = (why: string): void => {
      if (hasEnded) return;
      hasEnded = true;
      socket.destroy();
      onEnd(why);
    };
    socket.setNoDelay(true);
    socket.on('error', (error) => end(error.message));
    socket.on('close', () => end('its connection was closed'));
    socket.on('data', (bytes) => {
      for (const line of this.#linesIn(bytes)) {
        const message = parseJson(schema, line);
        if ('problem' in message) return end(`it sent something else: ${message.problem}`);
        onMessage(message.value);
      }
      if (this.#bytes > MOST_BYTES) end('it sent a line without an end');
    });
  }

  send(message: Sent): void {
    if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /** After what was sent. */
  close(): void {
    this.#socket.end();
  }

  *#linesIn(bytes: Buffer): Generator<string> {
    let from = 0;
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, from)) {
      this.#pieces.push(bytes.subarray(from, at));
      yield Buffer.concat(this.#pieces).toString();
      [this.#pieces, this.#bytes, from] = [[], 0, at + 1];
    }
    this.#pieces.push(bytes.subarray(from));
    this.#bytes += bytes.length - from;
  }
}
