/** The result of one check of a process. */
export interface Look {
  /** Whether it has work. */
  readonly busy: boolean;
  /** Changes when it makes progress. */
  readonly fingerprint: string;
  /** For people: `12 requests running and no new token`. */
  readonly says: string;
}

/**
 * Decides whether a live process makes progress. Pure: it gets each check and the time, ms. A failed check is
 * ignored, because the health probe covers that; the time since the last progress keeps running.
 */
export class HangDecision {
  readonly #hungAfterMs: number;
  #last: Look | undefined;
  #since = 0;

  constructor(hungAfterMs: number) {
    this.#hungAfterMs = hungAfterMs;
  }

  /** How long the process has been without progress, ms, if `look` is the current check. */
  stillFor(now: number, look: Look): number {
    return this.#last?.busy && look.fingerprint === this.#last.fingerprint ? now - this.#since : 0;
  }

  /** The message for a hung process; undefined while it does not hang. */
  observe(look: Look | undefined, now: number): string | undefined {
    if (!look) return undefined;
    const progress = !this.#last?.busy || !look.busy || look.fingerprint !== this.#last.fingerprint;
    this.#last = look;
    if (progress) this.#since = now;
    if (now - this.#since < this.#hungAfterMs || !look.busy) return undefined;
    return `hung: ${look.says} for ${Math.round((now - this.#since) / 1000)} s`;
  }
}
