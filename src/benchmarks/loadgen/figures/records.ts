import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import type { Measured } from './measured.ts';

/** Name of the file with a line for each request of one concurrency. */
export const recordsFileOf = (concurrency: number): string => `requests_concurrency_${concurrency}.jsonl`;
/** Lines are written in pieces of this many characters, so that a request costs no system call. */
const PIECE = 1 << 16;

/**
 * Writes a line for each request, up to a size, and how many were left out. A file that cannot be written does not
 * stop a benchmark. docs/reference/benchmarks.md describes the format.
 */
export class Records {
  readonly #begin: number;
  readonly #mostBytes: number;
  readonly #stream: WriteStream | undefined;
  #piece = '';
  #bytes = 0;
  #leftOut = 0;

  /**
   * @param begin zero of all times, on the clock of the measurements
   * @param shiftMs from this process' clock to that one
   */
  constructor(path: string, begin: number, mostBytes: number, shiftMs = 0) {
    this.#begin = begin;
    this.#mostBytes = mostBytes;
    if (mostBytes <= 0) return;
    this.#stream = createWriteStream(path);
    this.#stream.on('error', () => this.#stream?.destroy());
    this.#push(JSON.stringify({ v: 1, since: Date.now() - performance.now() - shiftMs + begin, unit: 'ms' }));
  }

  add(one: Measured): void {
    if (!this.#stream) return;
    if (this.#bytes > this.#mostBytes) {
      this.#leftOut++;
      return;
    }
    this.#push(lineOf(one, this.#begin));
  }

  /** Resolves when the file is complete. */
  async end(): Promise<void> {
    const stream = this.#stream;
    if (!stream || stream.destroyed) return;
    if (this.#leftOut > 0) this.#piece += `${JSON.stringify({ leftOut: this.#leftOut })}\n`;
    const closed = once(stream, 'close').catch(() => undefined);
    stream.end(this.#piece);
    await closed;
  }

  #push(line: string): void {
    this.#piece += `${line}\n`;
    this.#bytes += line.length + 1;
    if (this.#piece.length < PIECE) return;
    this.#stream?.write(this.#piece);
    this.#piece = '';
  }
}

const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000;

function lineOf(one: Measured, begin: number): string {
  const { index, status, error, asked, usage, chunks, gapsMs, finishReason } = one;
  return JSON.stringify({
    i: index,
    intended: rounded(one.intendedAt - begin),
    sent: rounded(one.startedAt - begin),
    first: rounded(one.firstAt - begin),
    last: rounded(one.lastAt - begin),
    end: rounded(one.endedAt - begin),
    // Whole microseconds, because they are most of the file.
    gapsUs: Array.from(gapsMs, (gap) => Math.round(gap * 1_000)),
    chunks,
    asked: [asked.inputTokens, asked.outputTokens],
    tokens: usage ? [usage.promptTokens, usage.completionTokens] : null,
    bytes: one.answerBytes,
    status,
    finish: finishReason,
    error,
  });
}
