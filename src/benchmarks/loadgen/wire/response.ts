/** The head of an answer, as far as a load generator needs it. */
export interface ResponseHead {
  readonly status: number;
  /** '' without the header. */
  readonly contentType: string;
  /** '' without the header. */
  readonly contentEncoding: string;
  /** The server keeps the connection open after this answer. */
  readonly keepsOpen: boolean;
}

export interface ResponseSink {
  onHead(head: ResponseHead): void;
  /** Bytes `from` to `to` of `bytes` belong to the body. The buffer is used again after the call. */
  onBody(bytes: Buffer, from: number, to: number): void;
}

/** A head, or trailers, of more bytes is taken for no HTTP. */
const MOST_HEAD_BYTES = 64 * 1024;
const [FEED, RETURN, SEMICOLON, SPACE, TAB] = [10, 13, 59, 32, 9];

type State = 'head' | 'length' | 'close' | 'size' | 'extension' | 'data' | 'data-end' | 'trailer' | 'done';

/**
 * Reads one HTTP/1.1 answer (RFC 9112) from bytes that are cut anywhere: interim answers (100, 103), and
 * bodies that are chunked, of a given length, or ended by the connection. What breaks the protocol is in
 * `fault`, after which no more is read.
 */
export class ResponseReader {
  fault: string | null = null;
  readonly #sink: ResponseSink;
  #state: State = 'head';
  #line = '';
  #lines: string[] = [];
  #headBytes = 0;
  /** Bytes left of the body or of the chunk. */
  #left = 0;
  #digits = 0;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** Whether any byte of the answer has arrived. */
  get hasBegun(): boolean {
    return this.#state !== 'head' || this.#headBytes > 0;
  }

  /** Returns the position after the last byte that belongs to this answer. */
  read(bytes: Buffer, from: number, to: number): number {
    let at = from;
    while (at < to && this.#state !== 'done' && this.fault === null) {
      switch (this.#state) {
        case 'data':
        case 'length':
        case 'close': {
          const end = this.#state === 'close' ? to : Math.min(to, at + this.#left);
          this.#left -= end - at;
          this.#sink.onBody(bytes, at, end);
          at = end;
          if (this.#left === 0 && this.#state === 'data') at = this.#nextChunk(bytes, at, to);
          else if (this.#left === 0 && this.#state === 'length') this.#state = 'done';
          break;
        }
        case 'size':
          this.#readSize(bytes[at++] ?? 0);
          break;
        case 'extension':
          if (bytes[at++] === FEED) this.#beginChunk();
          break;
        case 'data-end': {
          const byte = bytes[at++];
          if (byte === FEED) this.#state = 'size';
          else if (byte !== RETURN) this.#break('a chunk of the answer is longer than its length');
          break;
        }
        default:
          this.#readLine(bytes[at++] ?? 0);
      }
    }
    return at;
  }

  /**
   * Reads what stands between two chunks, `\r\n1f4\r\n`, when all of it is there and has no extension, which is so for
   * nearly all; otherwise the states read it byte by byte. Returns the position after what was read.
   */
  #nextChunk(bytes: Buffer, from: number, to: number): number {
    this.#state = 'data-end';
    if (from + 2 > to || bytes[from] !== RETURN || bytes[from + 1] !== FEED) return from;
    let at = from + 2;
    let length = 0;
    // Six digits are 16 MiB; longer lengths are read the other way.
    for (const most = Math.min(to, at + 6); at < most; at++) {
      const digit = hexDigit(bytes[at] ?? 0);
      if (digit < 0) break;
      length = length * 16 + digit;
    }
    if (length === 0 || at + 2 > to || bytes[at] !== RETURN || bytes[at + 1] !== FEED) return from;
    this.#left = length;
    this.#state = 'data';
    return at + 2;
  }

  /** The connection has ended. Returns whether that ends the answer as it should. */
  end(): boolean {
    if (this.#state === 'close') this.#state = 'done';
    return this.#state === 'done';
  }

  #break(fault: string): void {
    this.fault ??= fault;
  }

  #readSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      this.#digits++;
      if (this.#left > Number.MAX_SAFE_INTEGER) this.#break('a chunk of the answer has an impossible length');
    } else if (this.#digits === 0) this.#break('a chunk of the answer has no length');
    else if (byte === FEED) this.#beginChunk();
    else if (byte === RETURN || byte === SEMICOLON || byte === SPACE || byte === TAB)
      this.#state = 'extension';
    else this.#break('a chunk of the answer has no length');
  }

  #beginChunk(): void {
    this.#digits = 0;
    this.#state = this.#left === 0 ? 'trailer' : 'data';
  }

  /** A byte of the head or of the trailers. */
  #readLine(byte: number): void {
    if (++this.#headBytes > MOST_HEAD_BYTES) {
      this.#break(`the head of the answer has more than ${MOST_HEAD_BYTES} bytes`);
      return;
    }
    if (byte !== FEED) {
      this.#line += String.fromCharCode(byte);
      return;
    }
    const line = this.#line.endsWith('\r') ? this.#line.slice(0, -1) : this.#line;
    this.#line = '';
    if (this.#state === 'trailer') {
      if (line === '') this.#state = 'done';
    } else if (line !== '') {
      this.#lines.push(line);
      if (this.#lines.length === 1 && !STATUS_LINE.test(line))
        this.#break(`the server does not speak HTTP/1.1: ${JSON.stringify(line.slice(0, 80))}`);
    } else if (this.#lines.length > 0) this.#endHead();
  }

  #endHead(): void {
    const [statusLine = '', ...lines] = this.#lines;
    this.#lines = [];
    const [, minor, digits] = STATUS_LINE.exec(statusLine) ?? [];
    const status = Number(digits);
    if (status === 101) this.#break('the server wants another protocol (HTTP 101)');
    if (status < 200) return;
    this.#headBytes = 0;
    const headers = headersOf(lines);
    const coding = headers.get('transfer-encoding')?.toLowerCase();
    const length = headers.get('content-length');
    if (status === 204 || status === 304) this.#state = 'done';
    else if (coding !== undefined && coding !== 'identity') {
      if (coding !== 'chunked') this.#break(`the answer has the transfer coding "${coding}"`);
      this.#state = 'size';
    } else if (length !== undefined) {
      // A proxy may repeat the header.
      const [first = '', ...others] = length.split(/ *, */);
      if (!/^\d{1,15}$/.test(first) || others.some((other) => other !== first))
        this.#break(`the answer has the length "${length.slice(0, 40)}"`);
      this.#left = Number(first);
      this.#state = this.#left === 0 ? 'done' : 'length';
    } else this.#state = 'close';
    const connection = headers.get('connection')?.toLowerCase() ?? '';
    this.#sink.onHead({
      status,
      contentType: headers.get('content-type') ?? '',
      contentEncoding: (headers.get('content-encoding') ?? '').toLowerCase(),
      keepsOpen: minor === '1' && this.#state !== 'close' && !connection.includes('close'),
    });
  }
}

const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: |$)/;

/** Values of repeated headers are joined by a comma, as RFC 9110 says. */
function headersOf(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

/** -1 when it is none. */
function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
