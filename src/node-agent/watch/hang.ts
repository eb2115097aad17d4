/** What one look at a process found. */
export interface Look {
  /** It has something to do. */
  readonly busy: boolean;
  /** Changes when it gets on. */
  readonly fingerprint: string;
  /** For people: `12 requests running and no new token`. */
  readonly says: string;
}

/**
 * Decides whether a process that is alive gets on. Pure: told of each look and of the time, ms. A look that failed says
 * nothing (the health probe has its own word on that); the time since the last progress goes on.
 */
export class HangDecision {
  readonly #hungAfterMs: number;
  #last: Look | undefined;
  #since = 0;

  constructor(hungAfterMs: number) {
    this.#hungAfterMs = hungAfterMs;
  }

  /** How long it has stood still, ms, should `look` be what is seen now. */
  stillFor(now: number, look: Look): number {
    return this.#last?.busy && look.fingerprint === this.#last.fingerprint ? now - this.#since : 0;
  }

  /** What to say of a process that hangs; undefined while it does not. */
  observe(look: Look | undefined, now: number): string | undefined {
    if (!look) return undefined;
    const progress = !this.#last?.busy || !look.busy || look.fingerprint !== this.#last.fingerprint;
    this.#last = look;
    if (progress) this.#since = now;
    if (now - this.#since < this.#hungAfterMs || !look.busy) return undefined;
    return `hung: ${look.says} for ${Math.round((now - this.#since) / 1000)} s`;
  }
}
