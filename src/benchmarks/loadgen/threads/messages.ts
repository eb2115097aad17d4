import type { ClientFigures } from '../../../messages/job-directory/serving-result.ts';
import type { Measured } from '../figures/measured.ts';
import type { Outgoing } from '../request/request.ts';
import type { RequestSettings } from '../request/settings.ts';

/** What a measuring thread is started with. */
export interface ThreadData {
  readonly config: RequestSettings;
  /** The main thread's `clockOrigin`. */
  readonly origin: number;
  /** Chunks that arrived, a number for each thread. */
  readonly chunks: Int32Array<SharedArrayBuffer>;
  readonly thread: number;
}

/** From the main thread. */
export type ToThread =
  | { readonly kind: 'send'; readonly request: Outgoing }
  /** The measured window begins: the thread watches itself from now on. */
  | { readonly kind: 'watch' }
  /** Requests in flight and later ones fail with the reason. */
  | { readonly kind: 'stop'; readonly reason: string }
  /** Nothing follows. */
  | { readonly kind: 'end' };

/** From a measuring thread. */
export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'broken'; readonly error: string }
  | { readonly kind: 'measured'; readonly batch: Batch }
  /** null: the thread was not asked to watch itself. */
  | { readonly kind: 'ended'; readonly client: ClientFigures | null };

/** Measured requests, on the main thread's clock. The gaps of all are in one array, which moves without a copy. */
export interface Batch {
  readonly requests: readonly Omit<Measured, 'gapsMs'>[];
  /** Number of gaps of each. */
  readonly counts: readonly number[];
  readonly gapsMs: Float64Array<ArrayBuffer>;
}

/** @param shiftMs from the thread's clock to the main thread's */
export function pack(all: readonly Measured[], shiftMs: number): Batch {
  const counts = all.map(({ gapsMs }) => gapsMs.length);
  const gaps = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let at = 0;
  const requests = all.map(({ gapsMs, ...one }) => {
    gaps.set(gapsMs, at);
    at += gapsMs.length;
    return {
      ...one,
      intendedAt: one.intendedAt + shiftMs,
      startedAt: one.startedAt + shiftMs,
      firstAt: one.firstAt + shiftMs,
      lastAt: one.lastAt + shiftMs,
      endedAt: one.endedAt + shiftMs,
    };
  });
  return { requests, counts, gapsMs: gaps };
}

export function unpack({ requests, counts, gapsMs }: Batch): Measured[] {
  let at = 0;
  return requests.map((one, index) => {
    const from = at;
    at += counts[index] ?? 0;
    return { ...one, gapsMs: gapsMs.subarray(from, at) };
  });
}

const TRIES = 20;

/**
 * Zero of this thread's `performance.now()`, in ms of the clock that all threads share. Threads have zeros of
 * their own, and `performance.timeOrigin` follows the wall clock, which may be set.
 */
export function clockOrigin(): number {
  let origin = Number.NEGATIVE_INFINITY;
  // The second clock is read later, so the greatest difference is the nearest.
  for (let left = TRIES; left > 0; left--)
    origin = Math.max(origin, Number(process.hrtime.bigint()) / 1e6 - performance.now());
  return origin;
}
