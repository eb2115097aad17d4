import { close, fsync, openSync, readFileSync, truncateSync, write } from 'node:fs';
import { promisify } from 'node:util';
import type { Bus, Follower } from '../../messages/bus/bus.ts';
import { parseEvents, type SrtEvent } from '../../messages/events/events.ts';

/** Bytes that wait in memory for the disk. */
const MOST_WAITING = 1024 * 1024;
const writeTo = promisify(write);

/**
 * Appends every kept event to events.jsonl, in the stream's order, so that the events outlive the job. Events that an
 * earlier coordinator has written are not written again: each source numbers its events, and its numbers only grow. The
 * coordinator acts on an event without waiting for the disk, which may be full or stalled.
 */
export class Journal {
  readonly #file: number;
  readonly #follow: (from: number) => Follower;
  readonly #mayWrite: () => void;
  #follower: Follower;
  /**
   * The last message of the stream such that it and all before it are in the file; and the last message in `#waiting`.
   */
  #streamSeq: number;
  #takenSeq: number;
  /**
   * Bytes that the disk has not accepted yet. They are kept so that no event is missing or torn when it does. Events
   * beyond MOST_WAITING stay in the stream, and are read from there again.
   */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** The first message of the stream that waits there for the disk. */
  #leftFrom: number | undefined;
  #writing: Promise<boolean> | undefined;
  /** The last event of each source that is in the file or in `#waiting`. */
  readonly #taken: Map<string, number>;
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
    this.#taken = written;
    this.#file = openSync(path, 'a', 0o644);
    this.#streamSeq = from - 1;
    this.#takenSeq = from - 1;
    this.#mayWrite = mayWrite;
    this.#follow = (first) =>
      bus.follow(first, (event, streamSeq) => {
        mayWrite();
        const isThere = event.seq <= (written.get(event.source) ?? 0);
        this.#take(streamSeq, isThere ? undefined : event);
        if (streamSeq > this.#actedOn) {
          this.#actedOn = streamSeq;
          onEvent(event);
        }
        void this.#flush();
      });
    this.#follower = this.#follow(from);
  }

  get streamSeq(): number {
    return this.#streamSeq;
  }

  /** Resolves when all events that were acted on are in the file, or the disk does not take them. */
  async written(): Promise<void> {
    await this.#flush();
  }

  /**
   * Waits (at most `deadlineMs`) until the file contains all events of the stream, adds `unsent` (events that a lost
   * bus did not accept), and closes the file.
   */
  async close(deadlineMs: number, unsent: readonly SrtEvent[]): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), deadlineMs);
    const isLate = new Promise<void>((resolve) => {
      late.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    do {
      await Promise.race([this.#flush(), isLate]);
      await Promise.race([this.#follower.caughtUp().catch(() => undefined), isLate]);
    } while (this.#leftFrom !== undefined && !late.signal.aborted);
    clearTimeout(timer);
    this.#follower.stop();
    // An event that the stream has, though its acknowledgement was lost, is already in the file or waiting for it.
    for (const event of unsent) if (event.seq > (this.#taken.get(event.source) ?? 0)) this.#append(event);
    await this.#flush();
    // A network file system may report an exceeded quota only here. The run has ended, and its events are still valid.
    await promisify(fsync)(this.#file).catch(() => undefined);
    await promisify(close)(this.#file).catch(() => undefined);
  }

  /** `event` is undefined when it is already in the file. */
  #take(streamSeq: number, event: SrtEvent | undefined): void {
    // Later events must come after the events that were left in the stream.
    if (this.#leftFrom !== undefined) return;
    if (event && this.#waitingBytes >= MOST_WAITING) {
      this.#leftFrom = streamSeq;
      return;
    }
    if (event) {
      this.#append(event);
      this.#taken.set(event.source, Math.max(event.seq, this.#taken.get(event.source) ?? 0));
    }
    this.#takenSeq = streamSeq;
  }

  #append(event: SrtEvent): void {
    const line = Buffer.from(`${JSON.stringify(event)}\n`);
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
  }

  /** false: the disk is full; the waiting bytes are tried again with the next event. */
  #flush(): Promise<boolean> {
    this.#writing ??= this.#write().then((isWritten) => {
      this.#writing = undefined;
      if (isWritten) this.#goBack();
      return isWritten && this.#waiting.length > 0 ? this.#flush() : isWritten;
    });
    return this.#writing;
  }

  async #write(): Promise<boolean> {
    try {
      while (this.#waiting.length > 0) {
        this.#mayWrite();
        const lines = Buffer.concat(this.#waiting);
        // Bytes that arrive meanwhile are appended after these.
        this.#waiting = [lines];
        const { bytesWritten } = await writeTo(this.#file, lines);
        this.#waiting.splice(0, 1, ...(bytesWritten < lines.length ? [lines.subarray(bytesWritten)] : []));
        this.#waitingBytes -= bytesWritten;
      }
    } catch {
      return false;
    }
    this.#streamSeq = this.#takenSeq;
    return true;
  }

  /** Reads the events again that were left in the stream. */
  #goBack(): void {
    if (this.#leftFrom === undefined) return;
    const from = this.#leftFrom;
    this.#leftFrom = undefined;
    this.#follower.stop();
    this.#follower = this.#follow(from);
  }
}

/** The last number of each source in the file. An incomplete last line is removed. */
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
