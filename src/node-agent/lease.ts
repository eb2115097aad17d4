/**
 * An expired lease cannot be renewed, and a message renews the lease only from its earliest possible sending time. The
 * reason is an agent that was frozen: old messages lie in its socket, while the coordinator has already declared its
 * node free.
 */
export class Lease {
  /** How long the coordinator may be silent. */
  ms: number;
  readonly #now: () => number;
  #renewedAt: number;
  /** Every message that is read from the socket now was sent after this time. */
  #readUpTo: number;
  #hasExpired = false;

  constructor(now: () => number, ms: number) {
    this.#now = now;
    this.ms = ms;
    this.#renewedAt = now();
    this.#readUpTo = this.#renewedAt;
  }

  get hasExpired(): boolean {
    return this.#hasExpired;
  }

  /** How long the coordinator has been silent, ms, when the lease has expired; undefined while the lease holds. */
  expiredAfter(): number | undefined {
    const silenceMs = this.#now() - this.#renewedAt;
    if (silenceMs <= this.ms) return undefined;
    this.#hasExpired = true;
    return silenceMs;
  }

  /** To be called only while the lease holds. */
  renew(): void {
    this.#renewedAt = Math.max(this.#renewedAt, this.#readUpTo);
  }

  /** Immediates run after the sockets have been read, which after a freeze is later than the timers. */
  noteRead(): void {
    const now = this.#now();
    setImmediate(() => {
      this.#readUpTo = now;
    });
  }
}
