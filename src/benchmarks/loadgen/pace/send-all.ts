import { setImmediate, setTimeout } from 'node:timers/promises';
import type { ServingResult } from '../../../messages/job-directory/serving-result.ts';
import type { Measured } from '../figures/measured.ts';
import type { Prompt, Prompts } from '../workload/prompt.ts';
import { arrivalTimes, everyOther, limitAt, limitReached } from './arrivals.ts';
import type { PaceSettings } from './settings.ts';

/** How long the preparation of requests may delay reading answers. */
const HOLD_MS = 2;

/** A monotonic clock in ms; `sleep` rejects when the signal fires. */
export interface Clock {
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<unknown>;
}
const realClock: Clock = {
  now: () => performance.now(),
  async sleep(ms, signal) {
    const due = performance.now() + ms;
    // Timers have whole milliseconds, and end up to another one later. The last part is therefore waited for in
    // turns of the event loop, which delay no answer; not after short waits, because a high rate would have nothing else.
    const whole = Math.max(1, Math.floor(ms));
    await setTimeout(whole, undefined, { signal });
    while (performance.now() < due) await setImmediate(undefined, { signal });
  },
};

/** When a request should have been sent, on the clock of `performance.now()`. */
export interface Intended {
  readonly intendedAt: number;
  /** How long it waited until a place among `concurrency` requests was free for it, in ms. */
  readonly heldMs: number;
}

export interface SendOptions {
  readonly concurrency: number;
  readonly pace: PaceSettings;
  /** Which of the arrivals of a rate are sent here, where several clients send them. */
  readonly share?: { readonly index: number; readonly of: number };
  /** Source of the gaps between arrivals. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Sends one request; never rejects. */
  readonly send: (prompt: Prompt, intended: Intended) => Promise<Measured>;
  readonly onMeasured: (one: Measured) => void;
  readonly clock?: Clock;
}

const ALL = { index: 0, of: 1 };

type Load = NonNullable<ServingResult['load']>;

/**
 * Sends all prompts in turn, each when it has arrived and fewer than `concurrency` are in flight. With a
 * duration it stops to send when that is over. Resolves with what was reached when the last has ended; rejects
 * with the signal's reason when it is aborted.
 */
export async function sendAll(prompts: Prompts, options: SendOptions): Promise<Load> {
  const { concurrency, pace, random, signal, send, onMeasured, clock = realClock, share = ALL } = options;
  const inFlight = new Set<Promise<void>>();
  let freed: () => void = () => {};
  const begin = clock.now();
  const end = pace.durationS === null ? Number.POSITIVE_INFINITY : begin + pace.durationS * 1_000;
  const hasRate = pace.requestRate !== 'inf';
  const rampUpS = hasRate ? 0 : pace.rampUpS;

  /** Waits until one more may be in flight. false: it did not have to wait. */
  const place = async (): Promise<boolean> => {
    let hasWaited = false;
    while (inFlight.size >= limitAt(concurrency, rampUpS, clock.now() - begin)) {
      signal.throwIfAborted();
      hasWaited = true;
      const one = new Promise<void>((resolve) => {
        freed = resolve;
      });
      if (inFlight.size >= concurrency) await one;
      else {
        const risen = new AbortController();
        const wait = begin + limitReached(concurrency, rampUpS, inFlight.size) - clock.now();
        const until = AbortSignal.any([signal, risen.signal]);
        await Promise.race([one, clock.sleep(Math.max(wait, 0), until).catch(() => undefined)]);
        risen.abort();
      }
    }
    return hasWaited;
  };

  const arrivals = everyOther(arrivalTimes(pace, random), share);
  const times = new Times();
  /** When a request last got a place that it, or one before it, had waited for. */
  let freedAt = begin;
  let fromTrace = false;
  let heldSince = begin;
  for await (const prompt of prompts) {
    fromTrace ||= prompt.at !== undefined;
    const isOpen = hasRate || prompt.at !== undefined;
    const arrives = begin + (prompt.at ?? arrivals());
    if (arrives >= end) break;
    const wait = arrives - clock.now();
    if (wait > 0) await clock.sleep(wait, signal);
    const hasWaited = await place();
    signal.throwIfAborted();
    const now = clock.now();
    if (now >= end) break;
    const intendedAt = isOpen ? arrives : now;
    if (hasWaited) freedAt = now;
    const heldMs = isOpen ? Math.max(0, freedAt - arrives) : 0;
    const sent = send(prompt, { intendedAt, heldMs }).then((one) => {
      inFlight.delete(sent);
      if (!signal.aborted) onMeasured(one);
      freed();
    });
    inFlight.add(sent);
    times.add(intendedAt, now);
    if (clock.now() - heldSince > HOLD_MS) {
      await setImmediate();
      heldSince = clock.now();
    }
  }
  await Promise.all(inFlight);
  signal.throwIfAborted();
  const isOpen = hasRate || fromTrace;
  return {
    shape: isOpen ? 'open loop' : 'closed loop',
    arrivals: fromTrace ? 'trace' : hasRate ? pace.arrivals : null,
    askedRate: pace.requestRate === 'inf' ? null : pace.requestRate,
    drawnRate: isOpen ? times.rate('intended') : null,
    sentRate: times.rate('sent'),
  };
}

/** The rates at which requests were to be sent, and were sent. */
class Times {
  #count = 0;
  readonly #first = { intended: 0, sent: 0 };
  readonly #last = { intended: 0, sent: 0 };

  add(intended: number, sent: number): void {
    if (this.#count++ === 0) Object.assign(this.#first, { intended, sent });
    Object.assign(this.#last, { intended, sent });
  }

  /** Requests per second, from the first to the last; null without two at different times. */
  rate(which: 'intended' | 'sent'): number | null {
    const ms = this.#last[which] - this.#first[which];
    return this.#count > 1 && ms > 0 ? ((this.#count - 1) / ms) * 1_000 : null;
  }
}
