import { setTimeout as sleep } from 'node:timers/promises';
import { atATime } from '../../os/at-a-time.ts';
import { isOver, type JobOnDisk } from '../jobs/job-dir.ts';
import { LogClock, type Moment } from './log-clock.ts';
import { type IndexedLog, LogIndex } from './log-index.ts';
import type { LogText } from './log-text.ts';
import { merged } from './merge.ts';
import { createTexts } from './texts.ts';

/** A line of one of several logs. */
export interface LogLine extends Moment {
  readonly process: string;
  readonly node: string | null;
  readonly text: string;
}

export interface LogQuery {
  /** Chooses among the logs that there are; called again when there are more. */
  readonly choose: (logs: readonly IndexedLog[]) => readonly IndexedLog[];
  /** How many of the last lines; undefined: all. */
  readonly last?: number | undefined;
  /** Only lines from this time on, ms since 1970. */
  readonly since?: number | undefined;
  readonly fits: (line: string) => boolean;
  /** Continue until the job has ended. */
  readonly follow: boolean;
  readonly handle: (line: LogLine) => void | Promise<void>;
}

/** How long a round of looking for new lines takes at least, ms, and how long it rests compared with the last one. */
const LOOK_EVERY_MS = 250;
const REST = 4;
/** How often new logs are looked for, ms. */
const INDEX_EVERY_MS = 2_000;
/** Logs that are opened at a time. */
const AT_ONCE = 32;
/** Memory of all pieces that are read at a time, bytes, and the size of one. */
const ALL_PIECES = 32 * 1_048_576;
const PIECE = { least: 4 * 1_024, most: 64 * 1_024 } as const;
/** A search in a log by time ends with this distance, bytes. */
const CLOSE_ENOUGH = 256 * 1_024;
/** So many lines after a byte show which time it has. */
const PROBE_LINES = 200;
const TAIL_LINES = 40;

/**
 * The lines of several logs of a job, merged by time. Logs are read in pieces: those of gigabytes from their ends, or from
 * the time that is asked for. Lines of the same time are in the order of their logs.
 */
export async function readLogs(job: JobOnDisk, query: LogQuery): Promise<void> {
  const index = new LogIndex(job);
  const texts = createTexts(job);
  try {
    let over = await isOver(job);
    const open = new Map<string, OpenLog>();
    const add = async (isLate: boolean): Promise<void> => {
      const chosen = query.choose(await index.refresh()).filter(({ file }) => !open.has(file));
      const opened: OpenLog[] = [];
      await atATime(AT_ONCE, chosen, async (log, at) => {
        opened[at] = await OpenLog.of(log, await texts.of(log, over), isLate ? {} : query);
      });
      // In the order of the logs, which is that of lines of the same time.
      for (const [at, { file }] of chosen.entries()) if (opened[at]) open.set(file, opened[at]);
    };
    await add(false);
    await print([...open.values()], query, { partial: over, isFirst: true });
    let indexedAt = performance.now();
    while (query.follow) {
      const began = performance.now();
      over = await isOver(job);
      if (over || began - indexedAt > INDEX_EVERY_MS) {
        await add(true);
        indexedAt = performance.now();
      }
      const grown = await grownOf([...open.values()]);
      await print(grown, query, { partial: over, isFirst: false });
      if (over) return;
      await sleep(Math.max(LOOK_EVERY_MS, REST * (performance.now() - began)));
    }
  } finally {
    await texts.close();
  }
}

async function grownOf(logs: readonly OpenLog[]): Promise<OpenLog[]> {
  const grown: OpenLog[] = [];
  await atATime(AT_ONCE, logs, async (log) => {
    if (await log.hasMore()) grown.push(log);
  });
  return grown;
}

/** Prints what the logs have from their places on, merged. */
async function print(
  logs: readonly OpenLog[],
  { since, last, fits, handle }: LogQuery,
  { partial, isFirst }: { readonly partial: boolean; readonly isFirst: boolean },
): Promise<void> {
  const most = isFirst ? last : undefined;
  const share = Math.floor(ALL_PIECES / Math.max(1, logs.length));
  const piece = Math.max(PIECE.least, Math.min(PIECE.most, share));
  const kept: LogLine[] = [];
  for await (const { source: _, ...line } of merged(logs.map((log) => log.lines({ partial, piece })))) {
    if (!fits(line.text) || (since !== undefined && line.at < since)) continue;
    if (most === undefined) await handle(line);
    else {
      kept.push(line);
      // Not for each line, because that would take the list's length each time.
      if (kept.length > 2 * most) kept.splice(0, kept.length - most);
    }
  }
  for (const line of kept.slice(Math.max(0, kept.length - (most ?? 0)))) await handle(line);
}

/** A log, and how far it is read. */
class OpenLog {
  readonly #log: IndexedLog;
  readonly #text: LogText;
  readonly #clock: LogClock;
  #offset = 0;

  private constructor(log: IndexedLog, text: LogText, clock: LogClock) {
    this.#log = log;
    this.#text = text;
    this.#clock = clock;
  }

  /** Opens a log at the place where the lines begin that are asked for. */
  static async of(
    log: IndexedLog,
    text: LogText,
    { last, since, fits }: Partial<Pick<LogQuery, 'last' | 'since' | 'fits'>>,
  ): Promise<OpenLog> {
    const { size, writtenAt } = await text.end();
    const tail = await text.lastLines(TAIL_LINES);
    const begun = log.anchors.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
    const ends = writtenAt !== undefined && writtenAt > begun ? [{ offset: size, at: writtenAt }] : [];
    const anchors = [...log.anchors.filter(({ offset }) => offset <= size), ...ends];
    const clock = new LogClock({ anchors, aheadMs: log.aheadMs, tail, writtenAt });
    const open = new OpenLog(log, text, clock);
    if (since !== undefined) open.#offset = await open.#offsetAt(since, size);
    if (last !== undefined && fits)
      open.#offset = Math.max(open.#offset, await text.offsetOfLast(last, fits));
    return open;
  }

  async hasMore(): Promise<boolean> {
    const { size, writtenAt = Date.now() } = await this.#text.end();
    // A shorter log was begun anew.
    if (size < this.#offset) this.#offset = 0;
    if (size <= this.#offset) return false;
    this.#clock.know({ offset: size, at: writtenAt });
    return true;
  }

  async *lines(options: { readonly partial: boolean; readonly piece: number }): AsyncGenerator<LogLine> {
    const { process, node } = this.#log;
    for await (const { text, next } of this.#text.lines(this.#offset, options)) {
      const moment = this.#clock.momentOf(text, this.#offset);
      this.#offset = next;
      yield { process, node, text, ...moment };
    }
  }

  /** A byte before the first line of a time, by bisection. */
  async #offsetAt(at: number, size: number): Promise<number> {
    if (!this.#clock.isTimed) return this.#lineFrom(this.#clock.offsetAt(at));
    let [low, high] = [0, size];
    while (high - low > CLOSE_ENOUGH) {
      const middle = Math.floor((low + high) / 2);
      const there = await this.#timeAfter(middle);
      if (there !== undefined && there < at) low = middle;
      else high = middle;
    }
    return this.#lineFrom(low);
  }

  /** The beginning of the first line after a byte. */
  async #lineFrom(offset: number): Promise<number> {
    if (offset === 0) return 0;
    for await (const { next } of this.#text.lines(offset, { partial: false, piece: PIECE.least }))
      return next;
    return offset;
  }

  /** The time of the first line after a byte that has one. */
  async #timeAfter(offset: number): Promise<number | undefined> {
    let looked = 0;
    for await (const { text } of this.#text.lines(offset, { partial: false, piece: PIECE.most })) {
      const at = this.#clock.ownTimeOf(text);
      if (at !== undefined) return at;
      if (++looked > PROBE_LINES) return undefined;
    }
    return undefined;
  }
}
