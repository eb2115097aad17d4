import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventSchema, type SrtEvent } from '../messages/events/events.ts';

const PIECE_BYTES = 1 << 20;
/** From one look at the file to the next. */
const LOOK_EVERY_MS = 500;

/** Kinds of a job's events that a report is about; the transitions of its processes are most of the file. */
const KINDS: ReadonlySet<string> = new Set([
  'sweep.transition',
  'point.transition',
  'point.result',
  'worker.restart',
  'job.warning',
]);
const KIND = /"kind":"([\w.]+)"/;

/** An event with the byte of events.jsonl at which the next one begins. */
export interface PlacedEvent {
  readonly event: SrtEvent;
  readonly next: number;
}

/** Reads events.jsonl as it grows. The coordinator does nothing for it. */
export class EventFile {
  readonly #path: string;
  #at = 0;
  #rest: Buffer<ArrayBufferLike> = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** Calls `take` with each new event, until `signal` is aborted; then once more for the last ones. */
  async follow(take: (placed: PlacedEvent) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.read(take);
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
    await this.read(take);
  }

  /** Calls `take` with each event that was written since the last call. */
  async read(take: (placed: PlacedEvent) => void): Promise<void> {
    const file = await open(this.#path).catch(() => undefined);
    if (!file) return;
    try {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      for (;;) {
        const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, this.#at + this.#rest.length);
        if (bytesRead === 0) return;
        this.#take(Buffer.concat([this.#rest, piece.subarray(0, bytesRead)]), take);
      }
    } finally {
      await file.close();
    }
  }

  #take(data: Buffer, take: (placed: PlacedEvent) => void): void {
    let from = 0;
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, from)) {
      const line = data.toString('utf8', from, end);
      from = end + 1;
      const event = eventOf(line);
      if (event) take({ event, next: this.#at + from });
    }
    this.#at += from;
    this.#rest = Buffer.from(data.subarray(from));
  }
}

function eventOf(line: string): SrtEvent | undefined {
  if (!KINDS.has(KIND.exec(line)?.[1] ?? '')) return undefined;
  try {
    return eventSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
