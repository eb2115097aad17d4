import { closeSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import type { Bus, Follower } from '../messages/bus.ts';
import { parseEvents, type SrtEvent } from '../messages/events.ts';

/** Bytes that wait in memory for room on the disk. */
const MOST_WAITING = 1024 * 1024;

/**
 * Appends every kept event to events.jsonl, in the stream's order, so that the events outlive the job. What an earlier
 * coordinator has written is not written again: each source numbers its events, and its numbers only grow.
 */
export class Journal {
  readonly #file: number;
  readonly #follow: (from: number) => Follower;
  #follower: Follower;
  #streamSeq: number;
  /**
   * What a full disk did not take yet, so that no event is missing or torn when there is room again. More than
   * MOST_WAITING is left in the stream, and read from there again.
   */
  #rest = Buffer.alloc(0);
  /** The first message of the stream that waits there for room on the disk. */
  #leftFrom: number | undefined;

  /** The last message of the stream that was acted on. */
  #actedOn = 0;

  /** `from`: a message of the stream that may not be in the file; all before it are. */
  constructor(
    bus: Pick<Bus, 'follow'>,
    path: string,
    from: number,
    onEvent: (event: SrtEvent) => void,
    mayWrite: () => void = () => undefined,
  ) {
    const written = lastOfEach(path);
    this.#file = openSync(path, 'a', 0o644);
    this.#streamSeq = from - 1;
    this.#follow = (first) =>
      bus.follow(first, (event, streamSeq) => {
        mayWrite();
        const isThere = event.seq <= (written.get(event.source) ?? 0);
        if (!isThere && !this.#hasRoom()) this.#leftFrom ??= streamSeq;
        else if (isThere ? this.#flush() : this.#append(event)) this.#streamSeq = streamSeq;
        if (streamSeq > this.#actedOn) {
          this.#actedOn = streamSeq;
          onEvent(event);
        }
        this.#goBack();
      });
    this.#follower = this.#follow(from);
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
    this.#goBack();
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

  /** false when what follows is left in the stream, since it must come after what is left there already. */
  #hasRoom(): boolean {
    return this.#leftFrom === undefined && this.#rest.length < MOST_WAITING;
  }

  /** Reads from the stream again what was left there, when there is room on the disk. */
  #goBack(): void {
    if (this.#leftFrom === undefined || !this.#flush()) return;
    const from = this.#leftFrom;
    this.#leftFrom = undefined;
    this.#follower.stop();
    this.#follower = this.#follow(from);
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

/** The last number of each source in the file; a line that was not written to its end is taken out. */
function lastOfEach(path: string): Map<string, number> {
  const last = new Map<string, number>();
  let data: Buffer;
  try {
    data = readFileSync(path);
  } catch {
    return last;
  }
  const whole = data.lastIndexOf(0x0a) + 1;
  if (whole < data.length) truncateSync(path, whole);
  for (const { source, seq } of parseEvents(data.subarray(0, whole).toString('utf8')))
    last.set(source, Math.max(last.get(source) ?? 0, seq));
  return last;
}
