import { readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Epoch } from '../../messages/spec/counters.ts';
import { EXIT } from '../../os/errors.ts';

/** How long one look at the file counts, ms, because `check` runs before every write. */
const FRESH_MS = 100;

/** The file, in the job's node-local directory, that names the coordinator in charge. */
export const epochFile = (home: string): string => join(home, 'epoch');

/** This file exists when no further coordinator will be started. */
export const overFile = (home: string): string => `${epochFile(home)}-over`;

/** The last epoch that a coordinator claimed in a directory. That coordinator may have died before it wrote state.json. */
export function lastEpoch(home: string): Epoch {
  try {
    return Number.parseInt(readFileSync(epochFile(home), 'utf8'), 10) || 0;
  } catch {
    return 0;
  }
}

/**
 * Ends a coordinator that was frozen or slow, when another one has taken over its job. Agents refuse the old epoch
 * themselves; the lock protects files, and everything that does not pass over the bus.
 */
export class EpochLock {
  readonly #file: string;
  readonly #epoch: Epoch;
  readonly #onReplaced: (why: string) => never;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #isReleased = false;

  constructor(
    home: string,
    epoch: Epoch,
    onReplaced: (why: string) => never = () => process.exit(EXIT.fenced),
  ) {
    this.#file = epochFile(home);
    this.#epoch = epoch;
    this.#onReplaced = onReplaced;
  }

  /**
   * Puts this coordinator in charge instead of earlier ones. Of two coordinators that claim one epoch only one
   * succeeds.
   */
  claim(): void {
    try {
      writeFileSync(`${this.#file}-${this.#epoch}`, '', { flag: 'wx', mode: 0o600 });
    } catch {
      this.#onReplaced(`another coordinator of epoch ${this.#epoch} is in charge`);
    }
    // Renamed into place, because the guard reads the file too and must never see half of it.
    const aside = `${this.#file}.${process.pid}`;
    writeFileSync(aside, `${this.#epoch}\n`, { mode: 0o600 });
    renameSync(aside, this.#file);
  }

  /** Does not return in a coordinator that is no longer in charge. */
  check(): void {
    const now = performance.now();
    if (now - this.#lookedAt < FRESH_MS) return;
    this.#lookedAt = now;
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !this.#isReleased)
        this.#onReplaced('another coordinator has taken over, and ended the job');
      return;
    }
    this.heard(Number.parseInt(text, 10));
  }

  /** An epoch that a coordinator claims: on the bus (where only coordinators may publish a lease) or in the file. */
  heard(epoch: Epoch): void {
    if (epoch > this.#epoch) this.#onReplaced(`the coordinator of epoch ${epoch} is in charge`);
  }

  /** The job is over, and its directory is about to be removed. */
  release(): void {
    this.#isReleased = true;
  }

  /** An agent names the epoch that it obeys. An agent may lie, so the file decides. */
  agentObeys(epoch: Epoch): void {
    if (epoch > this.#epoch) this.check();
  }

  /** Shows that the job has a coordinator, without a search for processes. */
  touch(): void {
    try {
      const now = new Date();
      utimesSync(this.#file, now, now);
    } catch {
      // check() finds out why the file is missing.
    }
  }
}
