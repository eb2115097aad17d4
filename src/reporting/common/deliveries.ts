/** How one try ended: the other side has it, may take it later, or will never take it. */
export type Outcome =
  | 'done'
  | { readonly again: string; readonly afterMs?: number }
  | { readonly refused: string };

export interface DeliveryOptions<T> {
  /** Where it goes, as a person reads it. */
  readonly to: string;
  /** One try. Must not throw, and must end by itself. */
  readonly send: (item: T, signal: AbortSignal) => Promise<Outcome>;
  readonly log: { warn(fields: object, text: string): void };
  /** Called when an item has left the queue, delivered or not. */
  readonly onGone?: (item: T) => void;
  /** First pause after a failed try, ms; it doubles up to `mostPauseMs`. */
  readonly pauseMs?: number;
  readonly mostPauseMs?: number;
  /** Items that may wait; beyond them the oldest is dropped. */
  readonly most?: number;
}

const PAUSE_MS = 500;
const MOST_PAUSE_MS = 30_000;
/** At the end little time is left, so tries come sooner. */
const LAST_PAUSE_MS = 1_000;
const MOST = 100;

/**
 * Delivers items to one receiver in their order, one at a time, each until it is delivered or refused. Adding an
 * item never waits, and a receiver that is away costs bounded memory.
 */
export class Deliveries<T> {
  readonly #options: DeliveryOptions<T>;
  readonly #waiting: T[] = [];
  readonly #end = new AbortController();
  /** Ends a pause. */
  #goOn: () => void = () => undefined;
  #isLast = false;
  #running: Promise<void> | undefined;
  #failures = 0;

  constructor(options: DeliveryOptions<T>) {
    this.#options = options;
  }

  add(item: T): void {
    if (this.#end.signal.aborted) return;
    this.#waiting.push(item);
    // The first one is on its way.
    if (this.#waiting.length > (this.#options.most ?? MOST)) {
      const [dropped] = this.#waiting.splice(1, 1);
      if (dropped !== undefined) this.#options.onGone?.(dropped);
    }
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Delivers what waits, and gives up when `signal` is aborted. Resolves with the number of items that are lost. */
  async finish(signal: AbortSignal): Promise<number> {
    this.#isLast = true;
    this.#goOn();
    const stop = (): void => {
      this.#end.abort();
      this.#goOn();
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    await this.#running;
    this.#end.abort();
    return this.#waiting.length;
  }

  async #run(): Promise<void> {
    const { send, log, to, onGone } = this.#options;
    for (;;) {
      const [item] = this.#waiting;
      if (item === undefined || this.#end.signal.aborted) return;
      const outcome = await send(item, this.#end.signal);
      if (typeof outcome === 'object' && 'again' in outcome) {
        if (this.#end.signal.aborted) return;
        // One line for each time that the receiver goes away, not one for each try.
        if (this.#failures++ === 0)
          log.warn({ to, why: outcome.again }, 'a report is not taken; it is sent again');
        await this.#pause(outcome.afterMs);
        continue;
      }
      this.#failures = 0;
      if (outcome !== 'done') log.warn({ to, why: outcome.refused }, 'a report is refused');
      this.#waiting.shift();
      onGone?.(item);
    }
  }

  async #pause(asked = 0): Promise<void> {
    const { pauseMs = PAUSE_MS, mostPauseMs = MOST_PAUSE_MS } = this.#options;
    const most = this.#isLast ? LAST_PAUSE_MS : mostPauseMs;
    const backoff = Math.min(most, pauseMs * 2 ** Math.min(this.#failures - 1, 20));
    // Half of it by chance, so that a thousand jobs do not come back at the same moment.
    const ms = Math.min(most, Math.max(asked, backoff * (0.5 + Math.random() / 2)));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#goOn = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#goOn = () => undefined;
  }
}
