import type { Usage } from '../figures/measured.ts';
import { EventReader, type ServerEvent } from '../wire/events.ts';
import { carriedBy, errorIn, readChunk, shorten } from './chunk.ts';
import { KnownShape } from './known-shape.ts';

/** The streamed answer so far. Times are those of the reads that returned the bytes, in ms. */
export interface Answer {
  /** The first chunk that carries output; 0 without one. */
  readonly firstAt: number;
  /** The last chunk with a choice; 0 without one. */
  readonly lastAt: number;
  /** Gaps in ms between chunks that carry output. */
  readonly gapsMs: readonly number[];
  /** Chunks that carry output. */
  readonly chunks: number;
  readonly usage: Usage | null;
  /** Bytes of the body. */
  readonly bytes: number;
  /** The model as the first chunk that has one names it. */
  readonly model: string | null;
  readonly finishReason: string | null;
  /** The closing [DONE] has arrived. */
  readonly finished: boolean;
  readonly error: string | null;
}

const [OPENING_BRACE, OPENING_BRACKET, LESS_THAN] = [0x7b, 0x5b, 0x3c];
/** An answer that is no stream is kept so far, to find its error. */
const MOST_DOCUMENT_BYTES = 64 * 1024;

/** Reads an answer streamed as server-sent events: what arrived and when. */
export class AnswerReader {
  readonly #onChunk: () => void;
  readonly #events: EventReader;
  readonly #shape = new KnownShape();
  #now = 0;
  #firstAt = 0;
  /** The last chunk that carries output, as far as it is known. */
  #outputAt = 0;
  /** The chunk that ends the answer. */
  #endAt = 0;
  /** It may carry a token that decodes to nothing. */
  #endMayBeOutput = false;
  readonly #gapsMs: number[] = [];
  #chunks = 0;
  #usage: Usage | null = null;
  #bytes = 0;
  #model: string | null = null;
  #finishReason: string | null = null;
  #finished = false;
  #error: string | null = null;
  /** The beginning of an answer that is a document, not a stream. */
  #document: Buffer[] | undefined;

  /** @param onChunk called for each chunk that carries output */
  constructor(onChunk: () => void) {
    this.#onChunk = onChunk;
    this.#events = new EventReader({
      onEvent: (event) => this.#readEvent(event),
      skip: (bytes, from, to) => {
        const after = this.#shape.match(bytes, from, to);
        if (after >= 0) this.#output();
        return after;
      },
    });
  }

  /** The closing [DONE] has arrived. */
  get isFinished(): boolean {
    return this.#finished;
  }

  /** Reads bytes `from` to `to`, cut anywhere, that arrived at `now`. The buffer may be used again. */
  read(bytes: Buffer, from: number, to: number, now: number): void {
    if (from === to) return;
    this.#now = now;
    if (this.#bytes === 0 && isDocument(bytes[from])) this.#document = [];
    this.#bytes += to - from;
    if (!this.#document) this.#events.read(bytes, from, to);
    else if (this.#bytes <= MOST_DOCUMENT_BYTES) this.#document.push(Buffer.from(bytes.subarray(from, to)));
  }

  /** What arrived. With `usage` it is known whether the chunk with the reason of the end carries a token. */
  answer(): Answer {
    const endIsOutput =
      this.#endMayBeOutput && (this.#usage === null || this.#usage.completionTokens > this.#chunks);
    const gapsMs =
      endIsOutput && this.#chunks > 0 ? [...this.#gapsMs, this.#endAt - this.#outputAt] : this.#gapsMs;
    return {
      firstAt: this.#firstAt || this.#endAt,
      lastAt: Math.max(this.#outputAt, this.#endAt),
      gapsMs,
      chunks: this.#chunks + (endIsOutput ? 1 : 0),
      usage: this.#usage,
      bytes: this.#bytes,
      model: this.#model,
      finishReason: this.#finishReason,
      finished: this.#finished,
      error: this.#error ?? this.#documentError() ?? (this.#events.isBroken ? TOO_LONG : null),
    };
  }

  #readEvent({ name, data, comment }: ServerEvent): void {
    if (name === 'error') this.#error ??= `the stream has an error event: ${shorten(comment || data)}`;
    if (data === '') return;
    if (data === '[DONE]') {
      this.#finished = true;
      return;
    }
    const chunk = readChunk(data);
    if (!chunk) {
      this.#error ??= `unreadable chunk: ${shorten(data)}`;
      return;
    }
    this.#error ??= errorIn(chunk);
    if (chunk.usage) this.#usage = chunk.usage;
    this.#model ??= chunk.model ?? null;
    const choices = chunk.choices ?? [];
    for (const { finish_reason: reason } of choices)
      if (typeof reason === 'string') this.#finishReason = reason;
    const carried = carriedBy(choices, this.#chunks === 0);
    switch (carried) {
      case 'output':
        this.#output();
        this.#shape.learn(data);
        break;
      case 'last':
      case 'end':
        this.#endMayBeOutput = carried === 'last';
        this.#endAt = this.#now;
        break;
      case 'nothing':
        break;
    }
  }

  #output(): void {
    if (this.#chunks === 0) this.#firstAt = this.#now;
    else this.#gapsMs.push(this.#now - this.#outputAt);
    this.#outputAt = this.#now;
    this.#chunks++;
    this.#onChunk();
  }

  /** Why an answer that is no stream is none; null when it is one. */
  #documentError(): string | null {
    if (!this.#document) return null;
    const text = Buffer.concat(this.#document).toString();
    const chunk = readChunk(text);
    return (chunk ? errorIn(chunk) : null) ?? `the answer is no stream of events: ${shorten(text)}`;
  }
}

const TOO_LONG = 'the stream has a line of more than 16 MiB';

/** JSON or HTML, by its first byte. No line of server-sent events that an engine sends begins so. */
const isDocument = (first: number | undefined): boolean =>
  first === OPENING_BRACE || first === OPENING_BRACKET || first === LESS_THAN;
