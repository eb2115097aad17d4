import type { SeriesBook } from './series-book.ts';

/** What is known of a GPU at one moment; the units are in the names of the series. */
export interface GpuReading {
  /** Its index on the node. */
  readonly gpu: string;
  readonly uuid: string;
  readonly model: string;
  /** By the name of the series. */
  readonly values: Readonly<Record<string, number | undefined>>;
}

/** The series of all GPUs of a node, whatever tool reads them. */
export class GpuSeries {
  readonly #book: SeriesBook;
  readonly #ids = new Map<string, number>();

  constructor(book: SeriesBook) {
    this.#book = book;
  }

  /** A value that is not there now ends its series. */
  set({ gpu, uuid, model, values }: GpuReading): void {
    for (const [name, value] of Object.entries(values)) {
      const key = `${name} ${gpu}`;
      const id = this.#ids.get(key);
      if (value === undefined || Number.isNaN(value)) {
        if (id !== undefined) this.#book.end(id);
        this.#ids.delete(key);
      } else if (id === undefined) {
        const type = name.endsWith('_total') ? 'counter' : 'gauge';
        const made = this.#book.add({ name, type, labels: { gpu, uuid, model } });
        this.#ids.set(key, made);
        this.#book.set(made, value);
      } else this.#book.set(id, value);
    }
  }

  /** Nothing is known any more. */
  end(): void {
    for (const id of this.#ids.values()) this.#book.end(id);
    this.#ids.clear();
  }
}
