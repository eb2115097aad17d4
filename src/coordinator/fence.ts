import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../errors.ts';

/** A look at the file for each so long at most, ms: it is asked before all that is written. */
const FRESH_MS = 100;

/** The file, in the job's node-local directory, that names the coordinator in charge. */
export const epochFile = (home: string): string => join(home, 'epoch');

/**
 * Keeps a coordinator that was replaced from acting: one that was frozen or slow, and finds another in charge. Agents
 * refuse its epoch by themselves; this is for the files, and for what is not said over the bus.
 */
export class Fence {
  readonly #file: string;
  readonly #epoch: number;
  readonly #onFenced: (why: string) => never;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(
    home: string,
    epoch: number,
    onFenced: (why: string) => never = () => process.exit(EXIT.fenced),
  ) {
    this.#file = epochFile(home);
    this.#epoch = epoch;
    this.#onFenced = onFenced;
  }

  /** From now on this coordinator is in charge, and whoever was before it is not. */
  raise(): void {
    writeFileSync(this.#file, `${this.#epoch}\n`, { mode: 0o600 });
  }

  /** Does not return in a coordinator that is not in charge any more. */
  check(): void {
    const now = performance.now();
    if (now - this.#lookedAt < FRESH_MS) return;
    this.#lookedAt = now;
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch {
      // Who removes the directory ends the job, and this process with it.
      return;
    }
    this.heard(Number(text));
  }

  /** An epoch that somebody claims on the bus or in the file. */
  heard(epoch: number): void {
    if (epoch > this.#epoch) this.#onFenced(`the coordinator of epoch ${epoch} is in charge`);
  }

  /** Shows others (without asking for the pid) that the job has a coordinator. */
  touch(): void {
    try {
      const now = new Date();
      utimesSync(this.#file, now, now);
    } catch {
      // As above.
    }
  }
}
