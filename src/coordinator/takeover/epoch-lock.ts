import { readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../../os/errors.ts';

/** A look at the file for each so long at most, ms: it is asked before all that is written. */
const FRESH_MS = 100;

/** The file, in the job's node-local directory, that names the coordinator in charge. */
export const epochFile = (home: string): string => join(home, 'epoch');

/** Its being there says that no further coordinator will be started. */
export const overFile = (home: string): string => `${epochFile(home)}-over`;

/** The epoch that was begun last in a directory, also by a coordinator that did not live to say so in state.json. */
export function lastEpoch(home: string): number {
  try {
    return Number.parseInt(readFileSync(epochFile(home), 'utf8'), 10) || 0;
  } catch {
    return 0;
  }
}

/**
 * Keeps a coordinator that was replaced from acting: one that was frozen or slow, and finds another in charge. Agents
 * refuse its epoch by themselves; this is for the files, and for what is not said over the bus.
 */
export class Fence {
  readonly #file: string;
  readonly #epoch: number;
  readonly #onFenced: (why: string) => never;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #isLowered = false;

  constructor(
    home: string,
    epoch: number,
    onFenced: (why: string) => never = () => process.exit(EXIT.fenced),
  ) {
    this.#file = epochFile(home);
    this.#epoch = epoch;
    this.#onFenced = onFenced;
  }

  /** From now on this coordinator is in charge, and whoever was before it is not; of two at once only one. */
  raise(): void {
    try {
      writeFileSync(`${this.#file}-${this.#epoch}`, '', { flag: 'wx', mode: 0o600 });
    } catch {
      this.#onFenced(`another coordinator of epoch ${this.#epoch} is in charge`);
    }
    // Whole at any moment: the guard reads it, too.
    const aside = `${this.#file}.${process.pid}`;
    writeFileSync(aside, `${this.#epoch}\n`, { mode: 0o600 });
    renameSync(aside, this.#file);
  }

  /** Does not return in a coordinator that is not in charge any more. */
  check(): void {
    const now = performance.now();
    if (now - this.#lookedAt < FRESH_MS) return;
    this.#lookedAt = now;
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !this.#isLowered)
        this.#onFenced('another coordinator has taken over, and ended the job');
      return;
    }
    this.heard(Number.parseInt(text, 10));
  }

  /** An epoch that a coordinator claims, on the bus (where only coordinators can say a lease) or in the file. */
  heard(epoch: number): void {
    if (epoch > this.#epoch) this.#onFenced(`the coordinator of epoch ${epoch} is in charge`);
  }

  /** The job is over, and its directory about to go. */
  lower(): void {
    this.#isLowered = true;
  }

  /** An agent says whom it obeys. It may say what it likes: the file decides. */
  told(epoch: number): void {
    if (epoch > this.#epoch) this.check();
  }

  /** Shows others (without asking for the pid) that the job has a coordinator. */
  touch(): void {
    try {
      const now = new Date();
      utimesSync(this.#file, now, now);
    } catch {
      // What that means says check().
    }
  }
}
