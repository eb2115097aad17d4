import type { MetricsEndpoint } from '../../messages/spec/process-spec.ts';
import { ExpositionReader } from '../../os/exposition.ts';
import { askHttp } from '../../os/http.ts';
import type { LabelCheck } from './hidden.ts';
import type { SeriesBook } from './series-book.ts';

const MOST_BYTES = 32 * 1024 * 1024;
/** A process with more series than this has a label without bound; the rest is left out. */
export const MOST_SERIES = 50_000;
/** How long an answer may be silent, ms. */
const SILENCE_MS = 5_000;

export interface ScrapeOptions {
  readonly process: string;
  readonly endpoint: MetricsEndpoint;
  readonly book: SeriesBook;
  readonly check: LabelCheck;
  /** Called once when the process has more series than are recorded. */
  readonly onTooMany: () => void;
}

/** Reads one /metrics. Its series begin with the first answer, and end when it does not answer. */
export class Scrape {
  readonly #options: ScrapeOptions;
  readonly #reader: ExpositionReader;
  readonly #abort = new AbortController();
  readonly #up: number;
  readonly #seconds: number;
  #pending: Promise<void> | undefined;
  #count = 0;
  #isOver = false;

  constructor(options: ScrapeOptions) {
    this.#options = options;
    const { book, check, process, endpoint, onTooMany } = options;
    const own = endpoint.name === undefined ? undefined : { endpoint: endpoint.name };
    const add = (name: string) => book.add({ process, name, type: 'gauge', labels: own ?? {} });
    this.#up = add('up');
    this.#seconds = add('scrape_duration_seconds');
    this.#reader = new ExpositionReader({
      begun: ({ name, type, labels }) => {
        if (check.hides(name)) return undefined;
        if (this.#count >= MOST_SERIES) {
          if (this.#count++ === MOST_SERIES) onTooMany();
          return undefined;
        }
        this.#count++;
        return book.add({ process, name, type, labels: { ...own, ...check.cleared(labels) } });
      },
      value: (id, value) => book.set(id, value),
      ended: (id) => {
        this.#count--;
        book.end(id);
      },
    });
  }

  /** Reads it once; resolves when the answer is in the book. While it is being read it is not read again. Never rejects. */
  read(): Promise<void> {
    this.#pending ??= this.#read().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** The process has ended, and all of its series. */
  end(): void {
    this.#isOver = true;
    this.#abort.abort();
    this.#reader.end();
    for (const id of [this.#up, this.#seconds]) this.#options.book.end(id);
  }

  async #read(): Promise<void> {
    const { endpoint, book } = this.#options;
    const began = performance.now();
    const answer = await askHttp(endpoint, SILENCE_MS, this.#abort.signal, MOST_BYTES).catch(() => undefined);
    if (this.#isOver) return;
    const isUp = answer?.status === 200 && answer.isWhole;
    book.set(this.#up, isUp ? 1 : 0);
    book.set(this.#seconds, Math.round(performance.now() - began) / 1000);
    if (isUp) this.#reader.read(answer.text);
    else this.#reader.end();
  }
}
