import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { Bus, Follower } from '../messages/bus.ts';
import type { SrtEvent } from '../messages/events.ts';

/** Appends every kept event to events.jsonl, in the stream's order, so that the events outlive the job. */
export class Journal {
  readonly #file: number;
  readonly #follower: Follower;
  #streamSeq: number;
  /** What a full disk did not take yet, so that no event is missing or torn when there is room again. */
  #rest = Buffer.alloc(0);

  constructor(bus: Bus, path: string, from: number, onEvent: (event: SrtEvent) => void) {
    this.#file = openSync(path, 'a', 0o644);
    this.#streamSeq = from - 1;
    this.#follower = bus.follow(from, (event, streamSeq) => {
      if (this.#append(event)) this.#streamSeq = streamSeq;
      onEvent(event);
    });
  }

  get streamSeq(): number {
    return this.#streamSeq;
  }

  /**
   * Waits (at most `deadlineMs`) until all that is in the stream is in the file, adds `unsent` (what a bus that is gone
   * did not take), and closes it.
   */
  async close(deadlineMs: number, unsent: readonly SrtEvent[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      this.#follower.caughtUp().catch(() => undefined),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, deadlineMs);
      }),
    ]);
    clearTimeout(timer);
    this.#follower.stop();
    for (const event of unsent) this.#append(event);
    this.#flush();
    fsyncSync(this.#file);
    closeSync(this.#file);
  }

  /** false while the disk is full: what is to be done about an event does not wait for it to be written. */
  #append(event: SrtEvent): boolean {
    this.#rest = Buffer.concat([this.#rest, Buffer.from(`${JSON.stringify(event)}\n`)]);
    return this.#flush();
  }

  #flush(): boolean {
    try {
      while (this.#rest.length > 0) this.#rest = this.#rest.subarray(writeSync(this.#file, this.#rest));
      return true;
    } catch {
      return false;
    }
  }
}
