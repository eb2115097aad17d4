import { timeIn } from './line-time.ts';

/** A byte of a log whose time is known. */
export interface Anchor {
  readonly offset: number;
  /** ms since 1970, by the job's clock. */
  readonly at: number;
}

export interface LogClockOptions {
  /** From the process's events and the file's last write, in any order. */
  readonly anchors: readonly Anchor[];
  /** How far the clock of the node is ahead of the job's, ms. */
  readonly aheadMs: number;
  /** The last lines of the log, which show whether its lines have times, and in which zone. */
  readonly tail: readonly string[];
  /** When the last line was written, ms since 1970; undefined: unknown. */
  readonly writtenAt?: number | undefined;
}

/** When a line was written. */
export interface Moment {
  /** ms since 1970, by the job's clock; never less than that of the line before. */
  readonly at: number;
  /** The line has no time of its own. */
  readonly isEstimate: boolean;
}

/** A time that is so far from the job's is no time of the line, ms. */
const PLAUSIBLE_MS = 36 * 3_600_000;
/** Zones differ by multiples of this, ms. */
const ZONE_STEP_MS = 15 * 60_000;
const FARTHEST_ZONE_MS = 14 * 3_600_000;
/** The last line's time and the time of the last write differ by less than this, apart from the zone. */
const SAME_MS = 5_000;

/**
 * Dates the lines of one log, in order. A line without a time of its own has that of the line before, as the lines of a
 * traceback have; in a log without times the known bytes (start, stop, last write) are the scale, by which the others are
 * estimated.
 */
export class LogClock {
  #anchors: readonly Anchor[];
  readonly #aheadMs: number;
  readonly #isTimed: boolean;
  /** How far the log's own zone is ahead of this machine's, ms. */
  readonly #zoneMs: number;
  #last = Number.NEGATIVE_INFINITY;

  constructor({ anchors, aheadMs, tail, writtenAt }: LogClockOptions) {
    this.#anchors = [...anchors].sort((a, b) => a.offset - b.offset || a.at - b.at);
    this.#aheadMs = aheadMs;
    const lastLine = tail.findLast((line) => this.#told(line, 0) !== undefined);
    const last = lastLine === undefined ? undefined : this.#told(lastLine, 0);
    this.#isTimed = last !== undefined;
    this.#zoneMs = last === undefined || last.hasZone ? 0 : zoneOf(last.at, writtenAt);
  }

  /** Whether the log's lines have times. */
  get isTimed(): boolean {
    return this.#isTimed;
  }

  /** A further byte whose time is known, when the log has grown. */
  know(anchor: Anchor): void {
    this.#anchors = [...this.#anchors.filter(({ offset }) => offset < anchor.offset), anchor];
  }

  /** The moment of the line that begins at byte `offset`. Lines are asked for in their order. */
  momentOf(line: string, offset: number): Moment {
    const told = this.#told(line, this.#zoneMs);
    if (told) {
      this.#last = Math.max(this.#last, told.at);
      return { at: this.#last, isEstimate: false };
    }
    const isContinued = this.#isTimed && this.#last > Number.NEGATIVE_INFINITY;
    const at = isContinued ? this.#last : this.#isTimed ? this.#before(offset) : this.estimate(offset);
    this.#last = Math.max(this.#last, at);
    return { at: this.#last, isEstimate: true };
  }

  /** The time of a line by itself, ms since 1970; undefined when it has none. */
  ownTimeOf(line: string): number | undefined {
    return this.#told(line, this.#zoneMs)?.at;
  }

  /** The time of a byte between the known ones, ms since 1970. */
  estimate(offset: number): number {
    const after = this.#anchors.findIndex((anchor) => anchor.offset > offset);
    const [lower, upper] = [
      this.#anchors[after < 0 ? this.#anchors.length - 1 : after - 1],
      this.#anchors[after],
    ];
    if (!lower) return upper?.at ?? 0;
    if (!upper) return lower.at;
    return lower.at + ((offset - lower.offset) / (upper.offset - lower.offset)) * (upper.at - lower.at);
  }

  /** The byte at which an estimate reaches a time. */
  offsetAt(at: number): number {
    const after = this.#anchors.findIndex((anchor) => anchor.at > at);
    if (after < 0) return this.#anchors.at(-1)?.offset ?? 0;
    const [lower, upper] = [this.#anchors[after - 1], this.#anchors[after]];
    if (!lower || !upper) return 0;
    return Math.floor(
      lower.offset + ((at - lower.at) / (upper.at - lower.at)) * (upper.offset - lower.offset),
    );
  }

  /** The last known time before a byte. */
  #before(offset: number): number {
    return (this.#anchors.findLast((anchor) => anchor.offset <= offset) ?? this.#anchors[0])?.at ?? 0;
  }

  #told(line: string, zoneMs: number): { at: number; hasZone: boolean } | undefined {
    const near = this.#anchors[0]?.at ?? Date.now();
    const found = timeIn(line, near);
    if (!found) return undefined;
    const at = found.at - this.#aheadMs - (found.hasZone ? 0 : zoneMs);
    const first = this.#anchors[0]?.at ?? at;
    const last = Math.max(this.#anchors.at(-1)?.at ?? at, Date.now());
    return at < first - PLAUSIBLE_MS || at > last + PLAUSIBLE_MS ? undefined : { at, hasZone: found.hasZone };
  }
}

/** The difference of zones that explains why the last line and the last write differ; 0 when none does. */
function zoneOf(lastLineAt: number, writtenAt: number | undefined): number {
  if (writtenAt === undefined) return 0;
  const difference = lastLineAt - writtenAt;
  const zone = Math.round(difference / ZONE_STEP_MS) * ZONE_STEP_MS;
  return Math.abs(difference - zone) < SAME_MS && Math.abs(zone) <= FARTHEST_ZONE_MS ? zone : 0;
}
