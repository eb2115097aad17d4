import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { Bus, Follower } from '../messages/bus.ts';
import type { SrtEvent } from '../messages/events.ts';

/** Appends every kept event to events.jsonl, in the stream's order, so that the events outlive the job. */
export class Journal {
  readonly #file: number;
  readonly #follower: Follower;
  #streamSeq: number;

  constructor(bus: Bus, path: string, from: number, onEvent: (event: SrtEvent) => void) {
    this.#file = openSync(path, 'a', 0o644);
    this.#streamSeq = from - 1;
    this.#follower = bus.follow(from, (event, streamSeq) => {
      writeSync(this.#file, `${JSON.stringify(event)}\n`);
      this.#streamSeq = streamSeq;
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
    for (const event of unsent) writeSync(this.#file, `${JSON.stringify(event)}\n`);
    fsyncSync(this.#file);
    closeSync(this.#file);
  }
}
