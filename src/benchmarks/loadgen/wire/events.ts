/** A server-sent event. `name` is '' unless the stream names it. */
export interface ServerEvent {
  readonly name: string;
  readonly data: string;
  /** Text of the event's comments; Dynamo's frontend puts an error's text there. */
  readonly comment: string;
}

export interface EventSink {
  onEvent(event: ServerEvent): void;
  /**
   * Asked at the begin of each event, at `from` of `bytes`, whether it is one that needs no reading. Returns
   * the position after the event (its empty line included), or -1.
   */
  skip(bytes: Buffer, from: number, to: number): number;
}

const [FEED, RETURN, COLON, SPACE] = [10, 13, 58, 32];
/** A line of more bytes belongs to no chunk of tokens. */
const MOST_LINE_BYTES = 16 * 1024 * 1024;
/** The byte order mark, which a stream may begin with. */
const MARK = '\u{feff}';

/**
 * Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) from bytes that
 * are cut anywhere, also inside a character and between CR and LF. Unlike a browser it reports a named event
 * without data, because Dynamo's frontend ends a failed answer with `event: error` and a comment.
 */
export class EventReader {
  /** A line was too long; nothing more is read. */
  isBroken = false;
  readonly #sink: EventSink;
  /** A copy of a line's earlier bytes, because the buffer of a read is used again. */
  #rest = Buffer.alloc(0);
  #restBytes = 0;
  /** The last byte was a CR, whose LF is no line of its own. */
  #afterReturn = false;
  #isFirst = true;
  #isFresh = true;
  #hasData = false;
  #name = '';
  #data = '';
  #comment = '';

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  read(bytes: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to && !this.isBroken) {
      if (this.#afterReturn) {
        this.#afterReturn = false;
        if (bytes[at] === FEED) {
          at++;
          continue;
        }
      }
      if (this.#isFresh && this.#restBytes === 0) {
        const after = this.#sink.skip(bytes, at, to);
        if (after > at) {
          at = after;
          continue;
        }
      }
      let end = at;
      while (end < to && bytes[end] !== FEED && bytes[end] !== RETURN) end++;
      if (end === to) {
        this.#keep(bytes, at, to);
        return;
      }
      this.#afterReturn = bytes[end] === RETURN;
      if (this.#restBytes === 0) this.#readLine(bytes, at, end);
      else {
        this.#keep(bytes, at, end);
        const length = this.#restBytes;
        this.#restBytes = 0;
        if (!this.isBroken) this.#readLine(this.#rest, 0, length);
      }
      at = end + 1;
    }
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const length = this.#restBytes + to - from;
    if (length > MOST_LINE_BYTES) {
      this.isBroken = true;
      return;
    }
    if (length > this.#rest.length) {
      const larger = Buffer.allocUnsafe(Math.max(1_024, 2 * length));
      this.#rest.copy(larger, 0, 0, this.#restBytes);
      this.#rest = larger;
    }
    bytes.copy(this.#rest, this.#restBytes, from, to);
    this.#restBytes = length;
  }

  #readLine(bytes: Buffer, from: number, to: number): void {
    if (from === to) {
      const event = { name: this.#name, data: this.#data, comment: this.#comment };
      const isEvent = this.#hasData || this.#name !== '';
      this.#isFresh = true;
      this.#hasData = false;
      [this.#name, this.#data, this.#comment] = ['', '', ''];
      if (isEvent) this.#sink.onEvent(event);
      return;
    }
    this.#isFresh = false;
    // A comment counts only in an event that has a name.
    if (bytes[from] === COLON && this.#name === '') {
      this.#isFresh = !this.#hasData;
      return;
    }
    let line = bytes.toString('utf8', from, to);
    if (this.#isFirst && line.startsWith(MARK)) line = line.slice(1);
    this.#isFirst = false;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1);
    if (field === 'data') {
      this.#data = this.#hasData ? `${this.#data}\n${value}` : value;
      this.#hasData = true;
    } else if (field === 'event') this.#name = value;
    else if (field === '' && this.#name !== '')
      this.#comment = this.#comment === '' ? value : `${this.#comment}\n${value}`;
  }
}
