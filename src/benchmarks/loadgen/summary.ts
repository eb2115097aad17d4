import type { ServingResult } from '../../messages/job-directory/result.ts';
import type { LoadgenConfig } from './config.ts';
import type { Measured } from './request.ts';
import { Samples } from './statistics.ts';

/** Number of distinct errors in a result. */
const ERRORS = 5;

/** Collects the measurements of requests as they end, and computes the figures of one concurrency. */
export class Summary {
  readonly #config: Pick<LoadgenConfig, 'isl' | 'osl' | 'requestRate'>;
  readonly #concurrency: number;
  readonly #errors = new Set<string>();
  readonly #ttft = new Samples();
  readonly #tpot = new Samples();
  readonly #itl = new Samples();
  readonly #e2el = new Samples();
  #completed = 0;
  #failed = 0;
  #inputTokens = 0;
  #outputTokens = 0;
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  constructor(config: Pick<LoadgenConfig, 'isl' | 'osl' | 'requestRate'>, concurrency: number) {
    this.#config = config;
    this.#concurrency = concurrency;
  }

  /** A failed request is counted, and is in no figure but the duration. */
  add(one: Measured): void {
    this.#first = Math.min(this.#first, one.startedAt);
    this.#last = Math.max(this.#last, one.endedAt);
    if (one.error !== null) {
      this.#failed++;
      if (this.#errors.size < ERRORS) this.#errors.add(one.error);
      return;
    }
    this.#completed++;
    this.#inputTokens += one.inputTokens;
    this.#outputTokens += one.outputTokens;
    const e2elMs = one.endedAt - one.startedAt;
    this.#ttft.add(one.ttftMs);
    this.#e2el.add(e2elMs);
    // A request of one token has no time per output token after the first.
    if (one.outputTokens > 1) this.#tpot.add((e2elMs - one.ttftMs) / (one.outputTokens - 1));
    for (const gap of one.gapsMs) this.#itl.add(gap);
  }

  result(): ServingResult {
    const { isl, osl, requestRate } = this.#config;
    const durationS = this.#last > this.#first ? (this.#last - this.#first) / 1_000 : 0;
    const perSecond = (count: number): number => (durationS > 0 ? count / durationS : 0);
    return {
      concurrency: this.#concurrency,
      requestRate: requestRate === 'inf' ? null : requestRate,
      isl,
      osl,
      requests: this.#completed + this.#failed,
      completed: this.#completed,
      failed: this.#failed,
      errors: [...this.#errors],
      durationS,
      inputTokens: this.#inputTokens,
      outputTokens: this.#outputTokens,
      requestThroughput: perSecond(this.#completed),
      inputThroughput: perSecond(this.#inputTokens),
      outputThroughput: perSecond(this.#outputTokens),
      totalThroughput: perSecond(this.#inputTokens + this.#outputTokens),
      ttftMs: this.#ttft.distribution(),
      tpotMs: this.#tpot.distribution(),
      itlMs: this.#itl.distribution(),
      e2elMs: this.#e2el.distribution(),
    };
  }
}
