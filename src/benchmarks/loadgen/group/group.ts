import type { Counts, Facts, Part } from './messages.ts';
import { type Share, WHOLE } from './settings.ts';

/** The clients that measure together, as one of them sees it. */
export interface Group {
  readonly share: Share;
  /** From this client's clock to that of the first one, ms. */
  readonly shiftMs: number;
  /** Fires with the reason when another client is lost. */
  readonly signal: AbortSignal;
  /** What the first client finds out; the others get it. */
  facts(find: () => Promise<Facts>): Promise<Facts>;
  /** Waits until all clients are at the same place. Resolves at a common time, with that time on the first one's clock. */
  together(): Promise<number>;
  /** The run at one concurrency is invalid; all clients end it. */
  lose(): void;
  /** Called when another client has found that. */
  onLost(listener: () => void): void;
  /** Of the first client: the counts of the others, added up. */
  others(): Counts;
  /** Tells the first client how far this one is; null: it is the first one. */
  tell: ((counts: Counts) => void) | null;
  /** Of the first client: what the others have measured, in their order. */
  parts(): Promise<readonly Part[]>;
  /** Of the first client: the others may go on, or `ends`. */
  taken(ends: boolean): void;
  /** Of another client: hands over what it has measured. Resolves with whether that was the last concurrency. */
  give(part: Part): Promise<boolean>;
  close(): void;
}

export const NO_COUNTS: Counts = {
  ...{ requestsTotal: 0, requestsSent: 0, requestsDone: 0, failed: 0, chunks: 0, outputTokens: 0 },
};

const never = new AbortController().signal;

/** One client alone. */
export const alone: Group = {
  share: WHOLE,
  shiftMs: 0,
  signal: never,
  facts: (find) => find(),
  together: () => Promise.resolve(performance.now()),
  lose: () => undefined,
  onLost: () => undefined,
  others: () => NO_COUNTS,
  tell: null,
  parts: () => Promise.resolve([]),
  taken: () => undefined,
  give: () => Promise.reject(new Error('one client alone has no first one')),
  close: () => undefined,
};
