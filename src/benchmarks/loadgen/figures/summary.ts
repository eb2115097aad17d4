import type { Distribution, ServingResult } from '../../../messages/job-directory/serving-result.ts';
import type { ValiditySettings } from '../../../recipe/schema/validity.ts';
import { Drift, type PlainDrift } from '../statistics/drift.ts';
import { Histogram, type PlainHistogram } from '../statistics/histogram.ts';
import { type PlainTimeCounts, TimeCounts } from '../statistics/time-counts.ts';
import { Evidence, type PlainEvidence } from './evidence.ts';
import { Goodput, type PlainGoodput } from './goodput.ts';
import type { Judged } from './judge.ts';
import { limitsOf } from './limits.ts';
import type { Measured } from './measured.ts';
import { perGpu, ratesOf, steadyOf, throughputsOf } from './rates.ts';
import type { FigureSettings } from './settings.ts';

/** Intervals of the counts behind the steady rates: at first 10 ms, at most 4,096 of them. */
const FINE = { width: 10, most: 4_096 };
/** Intervals of the rates of a result: at first a second; more than 600 are joined, so a long run has a short result. */
const COARSE = { width: 1_000, most: 600 };

const TIMES = ['ttftMs', 'tpotMs', 'itlMs', 'e2elMs', 'queuedMs'] as const;
const FROM_INTENDED = ['ttftFromIntendedMs', 'e2elFromIntendedMs'] as const;
const OTHERS = ['islReached', 'oslReached', 'outputPerUser'] as const;
const DISTRIBUTIONS = [...TIMES, ...FROM_INTENDED, ...OTHERS];
type Name = (typeof DISTRIBUTIONS)[number];

export type SummaryConfig = Pick<FigureSettings, 'isl' | 'osl' | 'requestRate'> &
  Partial<Pick<FigureSettings, 'rates' | 'gpus' | 'slo'>>;

export interface SummaryOptions {
  /** When the measured window begins, on the clock of the measurements; all parts of a run have the same. */
  readonly begin?: number;
  /** The model that every answer must name; null: any. */
  readonly model?: string | null;
}

/** A summary in a form that crosses threads and JSON. */
export interface PlainSummary {
  readonly distributions: Readonly<Record<Name, PlainHistogram>>;
  readonly evidence: PlainEvidence;
  readonly drift: PlainDrift;
  readonly goodput: PlainGoodput;
  readonly fine: PlainTimeCounts;
  readonly coarse: PlainTimeCounts | null;
  /** First request sent, last one sent, last one ended, and when as many as the concurrency had been sent. */
  readonly times: readonly [first: number, lastSent: number, last: number, full: number] | null;
  /** When the window began, ms since 1970. */
  readonly since: number;
}

/**
 * Collects the measurements of requests as they end, and computes the figures of one concurrency. Its memory
 * does not grow with the number of requests. Summaries of several threads merge into that of the whole run.
 */
export class Summary {
  readonly #config: SummaryConfig;
  readonly #concurrency: number;
  readonly #histograms: Record<Name, Histogram>;
  readonly #evidence: Evidence;
  readonly #drift = new Drift();
  readonly #goodput: Goodput;
  readonly #fine: TimeCounts;
  readonly #coarse: TimeCounts | null;
  readonly #since: number;
  /** What makes ms since 1970 of a time. */
  readonly #epoch: number;
  #times: PlainSummary['times'] = null;

  constructor(config: SummaryConfig, concurrency: number, options: SummaryOptions = {}) {
    const { begin = performance.now(), model = null } = options;
    this.#config = config;
    this.#concurrency = concurrency;
    this.#histograms = Object.fromEntries(DISTRIBUTIONS.map((name) => [name, new Histogram()])) as Record<
      Name,
      Histogram
    >;
    this.#evidence = new Evidence({ model });
    this.#goodput = new Goodput(config.slo ?? {});
    this.#fine = new TimeCounts(begin, FINE.width, FINE.most);
    this.#coarse = config.rates ? new TimeCounts(begin, COARSE.width, COARSE.most) : null;
    this.#epoch = Date.now() - performance.now();
    this.#since = this.#epoch + begin;
  }

  /** A failed request is counted, and is in no figure but the duration. */
  add(one: Measured): void {
    const { startedAt, endedAt, index, ttftMs, outputTokens } = one;
    const full = index < this.#concurrency ? startedAt : Number.NEGATIVE_INFINITY;
    this.#addTimes([startedAt, startedAt, endedAt, full]);
    this.#evidence.add(one);
    this.#count(one);
    if (one.error !== null) return;
    const { ttftMs: ttft, tpotMs: tpot, itlMs, e2elMs: e2el, ...others } = this.#histograms;
    const e2elMs = endedAt - startedAt;
    // A request of one token has no time per output token after the first.
    const tpotMs = outputTokens > 1 ? (e2elMs - ttftMs) / (outputTokens - 1) : Number.NaN;
    ttft.add(ttftMs);
    e2el.add(e2elMs);
    // An answer that arrived in one read has no speed after its first token.
    if (tpotMs > 0) {
      tpot.add(tpotMs);
      others.outputPerUser.add(1_000 / tpotMs);
    }
    for (const gap of one.gapsMs) itlMs.add(gap);
    others.queuedMs.add(one.queuedMs);
    others.islReached.add(one.inputTokens);
    others.oslReached.add(outputTokens);
    if (this.#config.requestRate !== 'inf') {
      others.ttftFromIntendedMs.add(startedAt + ttftMs - one.intendedAt);
      others.e2elFromIntendedMs.add(endedAt - one.intendedAt);
    }
    this.#goodput.add({ ttftMs, tpotMs, e2elMs, outputTokens });
    this.#drift.add([index, ttftMs, tpotMs]);
  }

  /** Throws when the other one's window began at another time. */
  merge(other: PlainSummary): void {
    for (const name of DISTRIBUTIONS) this.#histograms[name].merge(other.distributions[name]);
    this.#evidence.merge(other.evidence);
    this.#drift.merge(other.drift);
    this.#goodput.merge(other.goodput);
    this.#fine.merge(other.fine);
    if (other.coarse) this.#coarse?.merge(other.coarse);
    if (other.times) this.#addTimes(other.times);
  }

  plain(): PlainSummary {
    return {
      distributions: Object.fromEntries(
        DISTRIBUTIONS.map((name) => [name, this.#histograms[name].plain()]),
      ) as Record<Name, PlainHistogram>,
      evidence: this.#evidence.plain(),
      drift: this.#drift.plain(),
      goodput: this.#goodput.plain(),
      fine: this.#fine.plain(),
      coarse: this.#coarse?.plain() ?? null,
      times: this.#times,
      since: this.#since,
    };
  }

  /** What `judge` needs beside the result. */
  proofs(): Pick<Judged, 'evidence' | 'slowStart'> {
    return { evidence: this.#evidence.plain(), slowStart: this.#drift.slowStart(this.#concurrency) };
  }

  /** Whether the run is invalid already, whatever comes: `limits` of requests that failed or ended early. */
  isLost(settings: ValiditySettings): boolean {
    const { max_failed, max_ended_early } = limitsOf(settings, 0);
    const { failed, endedEarly } = this.#evidence.counts;
    return failed > (max_failed ?? Infinity) || endedEarly > (max_ended_early ?? Infinity);
  }

  result(): ServingResult {
    const { isl, osl, requestRate, gpus } = this.#config;
    const { counts, errors } = this.#evidence.plain();
    const { requests, completed, failed, inputTokens, outputTokens, chunks } = counts;
    const [first, lastSent, last, full] = this.#times ?? [0, 0, 0, 0];
    const durationS = last > first ? (last - first) / 1_000 : 0;
    const window = { from: this.#epoch + first, to: this.#epoch + last };
    const throughputs = throughputsOf({ completed, inputTokens, outputTokens }, durationS);
    const e2el = this.#of('e2elMs');
    const hasRate = requestRate !== 'inf';
    return {
      concurrency: this.#concurrency,
      requestRate: hasRate ? requestRate : null,
      ...{ isl, osl, requests, completed, failed, errors: [...errors], durationS, inputTokens, outputTokens },
      ...(this.#times ? { window } : {}),
      ...throughputs,
      ...this.#all(TIMES),
      ...(hasRate ? this.#all(FROM_INTENDED) : {}),
      ...this.#all(OTHERS),
      chunks,
      tokensPerChunk: chunks === 0 ? null : outputTokens / chunks,
      // With a rate nothing says when as many requests run as will: after the time of a request.
      steady: steadyOf(this.#fine, first, hasRate ? first + e2el.median : full, lastSent),
      ...(gpus ? { perGpu: perGpu(throughputs, gpus) } : {}),
      ...this.#goodput.result(requests, durationS),
      ...(this.#coarse ? { rates: ratesOf(this.#coarse.plain(), this.#since) } : {}),
    };
  }

  #of(name: Name): Distribution {
    return this.#histograms[name].distribution();
  }

  #all<N extends Name>(names: readonly N[]): Record<N, Distribution> {
    return Object.fromEntries(names.map((name) => [name, this.#of(name)])) as Record<N, Distribution>;
  }

  #addTimes([first, lastSent, last, full]: NonNullable<PlainSummary['times']>): void {
    const [a, b, c, d] = this.#times ?? [first, lastSent, last, full];
    this.#times = [Math.min(a, first), Math.max(b, lastSent), Math.max(c, last), Math.max(d, full)];
  }

  #count({ startedAt, endedAt, ttftMs, gapsMs, inputTokens, outputTokens, error }: Measured): void {
    for (const counts of [this.#fine, this.#coarse]) {
      if (!counts) continue;
      counts.add('completed', endedAt, error === null ? 1 : 0);
      counts.add('failed', endedAt, error === null ? 0 : 1);
      if (error !== null) continue;
      // A chunk may have several tokens.
      const each = outputTokens / (gapsMs.length + 1);
      let at = startedAt + ttftMs;
      counts.add('inputTokens', at, inputTokens);
      counts.add('outputTokens', at, each);
      for (const gap of gapsMs) {
        at += gap;
        counts.add('outputTokens', at, each);
      }
    }
  }
}
