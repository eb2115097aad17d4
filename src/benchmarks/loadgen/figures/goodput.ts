import type { ServingResult, Slo } from '../../../messages/job-directory/serving-result.ts';

export interface PlainGoodput {
  readonly requests: number;
  readonly outputTokens: number;
}

/** Counts the completed requests that were within all limits. */
export class Goodput {
  readonly #slo: Slo;
  #requests = 0;
  #outputTokens = 0;

  constructor(slo: Slo) {
    this.#slo = slo;
  }

  /** `tpotMs` is NaN for an answer of one token, which no limit of it excludes. */
  add(one: { ttftMs: number; tpotMs: number; e2elMs: number; outputTokens: number }): void {
    const { ttftMs = Infinity, tpotMs = Infinity, e2elMs = Infinity } = this.#slo;
    if (one.ttftMs > ttftMs || one.tpotMs > tpotMs || one.e2elMs > e2elMs) return;
    this.#requests++;
    this.#outputTokens += one.outputTokens;
  }

  merge(other: PlainGoodput): void {
    this.#requests += other.requests;
    this.#outputTokens += other.outputTokens;
  }

  plain(): PlainGoodput {
    return { requests: this.#requests, outputTokens: this.#outputTokens };
  }

  /** Nothing when the recipe sets no limit. */
  result(requests: number, durationS: number): Pick<ServingResult, 'goodput'> {
    if (Object.values(this.#slo).every((limit) => limit === undefined)) return {};
    const perSecond = (count: number): number => (durationS > 0 ? count / durationS : 0);
    return {
      goodput: {
        slo: this.#slo,
        requests: this.#requests,
        share: requests > 0 ? this.#requests / requests : 0,
        requestThroughput: perSecond(this.#requests),
        outputThroughput: perSecond(this.#outputTokens),
      },
    };
  }
}
