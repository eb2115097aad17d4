import { describe, expect, it } from 'vitest';
import { judge, type Place } from '../../../src/benchmarks/loadgen/figures/judge.ts';
import type { Measured } from '../../../src/benchmarks/loadgen/figures/measured.ts';
import { Summary } from '../../../src/benchmarks/loadgen/figures/summary.ts';
import { reasonsOf, withLosses } from '../../../src/benchmarks/loadgen/figures/why-not-valid.ts';
import { seededRandom } from '../../../src/benchmarks/loadgen/workload/random.ts';
import type {
  ClientFigures,
  EngineFigures,
  ServingResult,
} from '../../../src/messages/job-directory/serving-result.ts';
import type { ValiditySettings } from '../../../src/recipe/schema/validity.ts';
import { type Shape, simulatedRun } from '../../support/simulated-run.ts';

const SHAPE: Shape = {
  ...{ concurrency: 10, requests: 200, rate: null, isl: 1_000, osl: 40 },
  ...{ ttftMs: 80, tpotMs: 10, perChunk: 1 },
};
const CLIENT: ClientFigures = { busy: 0.1, delayP99Ms: 0.4, delayMaxMs: 9, clockStepMs: 1 };

interface Given {
  readonly shape?: Partial<Shape>;
  /** Changes the requests. */
  readonly spoil?: (run: readonly Measured[]) => readonly Measured[];
  readonly client?: Partial<ClientFigures>;
  readonly restarted?: readonly string[];
  readonly settings?: ValiditySettings;
  readonly place?: Place;
  readonly seed?: number;
}

const noFigure = { value: null, why: 'unknown' };
const noGauge = { mean: null, max: null, why: 'unknown' };

function judged({ shape, spoil = (run) => run, client, restarted = [], ...given }: Given) {
  const { settings = {}, place = 'node', seed = 1 } = given;
  const all = { ...SHAPE, ...shape };
  const { isl, osl, concurrency, rate } = all;
  const requestRate = rate ?? 'inf';
  const summary = new Summary({ isl, osl, requestRate }, concurrency, {
    begin: 0,
    model: 'served',
  });
  for (const one of spoil(simulatedRun(all, seededRandom(seed)))) summary.add(one);
  const engine: EngineFigures = {
    ...{ preemptions: noFigure, kvCacheUsage: noGauge, queue: noGauge },
    ...{ acceptanceLength: noFigure, acceptanceRate: noFigure, restarted: [...restarted] },
  };
  const result = { ...summary.result(), client: { ...CLIENT, ...client }, engine };
  return judge({ result, ...summary.proofs(), settings, place });
}

/** What is over its limit. */
const problemsOf = (given: Given): string[] => judged(given).problems.map(({ what }) => what);

/** Changes some requests: all, or one of a hundred. */
const each =
  (change: (one: Measured) => Partial<Measured>, isSome: (one: Measured) => boolean = () => true) =>
  (run: readonly Measured[]) =>
    run.map((one) => (isSome(one) ? { ...one, ...change(one) } : one));
const onePercent = ({ index }: Measured): boolean => index % 100 === 50;

const stated = (one: Measured, tokens: (asked: number) => number, prompt: (asked: number) => number) => ({
  usage: {
    promptTokens: prompt(one.inputTokens),
    completionTokens: tokens(one.asked.outputTokens),
    cachedTokens: null,
  },
  outputTokens: tokens(one.asked.outputTokens),
});
/** The whole answer came when it was complete. */
const held = (one: Measured): Partial<Measured> => ({
  ttftMs: one.lastAt - one.startedAt,
  firstAt: one.lastAt,
  gapsMs: Array.from(one.gapsMs, () => 0),
});
const same = (count: number): number => count;

describe('figures are valid', () => {
  it('in a thousand good runs of all kinds', () => {
    const wrong: unknown[] = [];
    for (let seed = 0; seed < 1_000; seed++) {
      const pick = <T>(some: readonly T[]): T => some[Math.floor(random() * some.length)] as T;
      const random = seededRandom(seed);
      const concurrency = pick([1, 4, 16, 64]);
      const shape = {
        concurrency,
        requests: Math.max(1, Math.round(concurrency * pick([2, 5, 10]) + pick([0, 100]))),
        rate: pick([null, null, 50]),
        osl: pick([1, 16, 40]),
        isl: pick([1, 64, 8_000]),
        perChunk: pick([1, 1, 4]),
        ttftMs: pick([5, 80, 2_000]),
        tpotMs: pick([0.5, 10, 40]),
      };
      const problems = judged({ shape, seed }).problems;
      // A rate above what the concurrency allows is not reached, and has to be told.
      if (problems.some(({ what }) => what !== 'rate' || shape.rate === null))
        wrong.push({ seed, shape, problems });
    }
    expect(wrong).toEqual([]);
  });

  it.each<[string, Given]>([
    ['with a begin-of-text token in each prompt', { spoil: each((one) => stated(one, same, (n) => n + 1)) }],
    [
      'with half a percent of the prompt tokens more',
      { spoil: each((one) => stated(one, same, (n) => n * 1.005)) },
    ],
    ['with an empty last chunk', { spoil: each((one) => ({ chunks: one.chunks + 1 })) }],
    ['without a model in the answers', { spoil: each(() => ({ model: null })) }],
    [
      'with a client that is late by less than a tenth of the ITL',
      { client: { delayP99Ms: 3.9 }, shape: { tpotMs: 40 } },
    ],
    [
      'with a slow first wave, which finds idle engines',
      {
        spoil: each(
          (one) => ({ ttftMs: one.ttftMs * 5 }),
          ({ index }) => index < 10,
        ),
      },
    ],
    ['with two very slow requests', { spoil: each((one) => ({ ttftMs: one.ttftMs * 100 }), onePercent) }],
    [
      'with a last third that is slower, as that of a queue that fills',
      {
        spoil: each(
          (one) => ({ ttftMs: one.ttftMs * 3 }),
          ({ index }) => index > 140,
        ),
      },
    ],
    [
      'with too few requests to see a drift',
      {
        shape: { requests: 99 },
        spoil: each(
          (one) => ({ ttftMs: one.ttftMs * 9 }),
          ({ index }) => index < 40,
        ),
      },
    ],
  ])('%s', (_, given) => {
    expect(problemsOf(given)).toEqual([]);
  });
});

describe('figures are not valid', () => {
  it.each<[what: string, name: string, given: Given]>([
    ['max_failed', 'when all requests failed', { spoil: each(() => ({ error: 'no' })) }],
    ['max_failed', 'when 1 % of the requests failed', { spoil: each(() => ({ error: 'no' }), onePercent) }],
    [
      'max_ended_early',
      'when answers are half as long',
      { spoil: each((one) => stated(one, (n) => n / 2, same)) },
    ],
    [
      'max_ended_early',
      'when 1 % of the answers lack a token',
      { spoil: each((one) => stated(one, (n) => n - 1, same), onePercent) },
    ],
    [
      'output_tokens',
      'when answers are half as long',
      { spoil: each((one) => stated(one, (n) => n / 2, same)) },
    ],
    [
      'output_tokens',
      'when 3 % of the tokens are too many',
      { spoil: each((one) => stated(one, (n) => n * 1.03, same)) },
    ],
    [
      'prompt_tokens',
      'when prompts are 1.5 % longer',
      { spoil: each((one) => stated(one, same, (n) => n * 1.015)) },
    ],
    [
      'prompt_tokens',
      'when prompts are half as long',
      { spoil: each((one) => stated(one, same, (n) => n / 2)) },
    ],
    [
      'max_without_usage',
      'without usage and with several tokens in a chunk',
      { shape: { perChunk: 4 }, spoil: each(() => ({ usage: null })) },
    ],
    [
      'max_without_usage',
      'when 1 % of such answers have no usage',
      { shape: { perChunk: 4 }, spoil: each(() => ({ usage: null }), onePercent) },
    ],
    [
      'max_contradicting_usage',
      'when usage has ten times the tokens',
      { spoil: each((one) => stated(one, (n) => n * 10, same)) },
    ],
    [
      'max_contradicting_usage',
      'when usage of 1 % has ten times the tokens',
      { spoil: each((one) => stated(one, (n) => n * 10, same), onePercent) },
    ],
    [
      'max_contradicting_usage',
      'when usage has two tokens for all chunks',
      { spoil: each((one) => stated(one, () => 2, same)) },
    ],
    [
      'max_contradicting_usage',
      'when answers have fewer bytes than tokens',
      { spoil: each(() => ({ answerBytes: 5 })) },
    ],
    ['at_once', 'when a proxy holds answers back until they are whole', { spoil: each(held) }],
    [
      'at_once',
      'when it does so with 3 % of the requests',
      { spoil: each(held, ({ index }) => index % 100 < 3) },
    ],
    ['max_other_model', 'when another model answers', { spoil: each(() => ({ model: 'other' })) }],
    [
      'max_other_model',
      'when another model answers 1 % of the requests',
      { spoil: each(() => ({ model: 'other' }), onePercent) },
    ],
    ['max_engine_restarts', 'when an engine started again', { restarted: ['decode-0-0'] }],
    ['client_busy', 'when the client used more than half a core', { client: { busy: 0.51 } }],
    ['loop_delay_ms', 'when the client came late to its sockets', { client: { delayP99Ms: 2.1 } }],
    [
      'loop_delay_ms',
      'when it came later than a tenth of the ITL',
      { client: { delayP99Ms: 4.5 }, shape: { tpotMs: 40 } },
    ],
    ['client_frozen_ms', 'when the client stood still for 6 s', { client: { delayMaxMs: 6_000 } }],
    ['clock_step_ms', 'when the clock was set by an hour', { client: { clockStepMs: 3_600_000 } }],
    [
      'send_lag_ms',
      'when requests of a rate were sent late',
      { shape: { rate: 50 }, spoil: each((one) => ({ queuedMs: one.queuedMs + 5 })) },
    ],
    [
      'send_lag_ms',
      'when 2 % of them were sent late',
      {
        shape: { rate: 50 },
        spoil: each(
          (one) => ({ queuedMs: one.queuedMs + 50 }),
          ({ index }) => index % 50 === 7,
        ),
      },
    ],
    [
      'rate',
      'when a rate of 100 was asked for and the engines take 12',
      { shape: { rate: 100, concurrency: 10, ttftMs: 400 } },
    ],
    [
      'slow_start',
      'when the first third has twice the TTFT',
      {
        spoil: each(
          (one) => ({ ttftMs: one.ttftMs * 3 }),
          ({ index }) => index < 75,
        ),
      },
    ],
    [
      'slow_start',
      'when the first third has half the speed',
      {
        spoil: each(
          (one) => ({ endedAt: one.startedAt + 2 * (one.endedAt - one.startedAt) }),
          ({ index }) => index < 75,
        ),
      },
    ],
  ])('%s: %s', (what, _, given) => {
    expect(problemsOf(given)).toContain(what);
  });

  it('says for each reason what is over which limit, in a sentence', () => {
    const [problem] = judged({ spoil: each(() => ({ error: 'HTTP 503: no' }), onePercent) }).problems;
    expect(problem).toEqual({
      what: 'max_failed',
      text: '2 of 200 requests failed: HTTP 503: no',
      limit: 0,
      value: 2,
    });
  });

  it('names what could not be judged', () => {
    const { unknown } = judged({ shape: { requests: 20 } });
    expect(unknown).toEqual([{ what: 'slow_start', why: '20 requests are too few to see a drift' }]);
  });
});

describe('limits', () => {
  const failing = each(() => ({ error: 'no' }), onePercent);

  it('can be widened to a number, and the result says so', () => {
    const validity = judged({ spoil: failing, settings: { max_failed: 2 } });
    expect(validity).toMatchObject({
      valid: true,
      changed: [{ what: 'max_failed', limit: 2, byDefault: 0 }],
    });
    expect(problemsOf({ spoil: failing, settings: { max_failed: 1 } })).toEqual(['max_failed']);
  });

  it('can be left out, and narrowed', () => {
    expect(judged({ restarted: ['agg-0-0'], settings: { max_engine_restarts: false } })).toMatchObject({
      valid: true,
      changed: [{ what: 'max_engine_restarts', limit: null, byDefault: 0 }],
    });
    expect(problemsOf({ settings: { client_busy: 0.05 } })).toEqual(['client_busy']);
  });

  it('of the client are warnings beside simulated engines, and wider on a machine with the engines', () => {
    const late = { busy: 0.7, delayP99Ms: 8 };
    expect(judged({ client: late, place: 'mock' })).toMatchObject({
      valid: true,
      warnings: [{ what: 'loop_delay_ms' }, { what: 'client_busy' }],
    });
    expect(judged({ client: late, place: 'local' }).valid).toBe(true);
    expect(problemsOf({ client: { busy: 0.99 }, place: 'local' })).toEqual(['client_busy']);
    expect(problemsOf({ client: { delayP99Ms: 21 }, place: 'local' })).toEqual(['loop_delay_ms']);
    expect(judged({ spoil: each(held), place: 'mock' })).toMatchObject({
      valid: true,
      warnings: [{ what: 'at_once' }],
    });
    expect(problemsOf({ client: { delayMaxMs: 6_000 }, place: 'mock' })).toEqual(['client_frozen_ms']);
    const cold = each(
      (one) => ({ ttftMs: one.ttftMs * 3 }),
      ({ index }) => index < 75,
    );
    expect(judged({ spoil: cold, place: 'mock' }).warnings.map(({ what }) => what)).toEqual(['slow_start']);
  });
});

describe('a run that can do without lost workers', () => {
  it('is valid although requests failed and engines started again, which are warnings then', () => {
    const validity = judged({ spoil: each(() => ({ error: 'no' }), onePercent), restarted: ['agg-1-0'] });
    const result = { concurrency: 10, validity } as ServingResult;
    expect(reasonsOf([10], [result])).toHaveLength(2);
    expect(reasonsOf([10], [result], true)).toEqual([]);
    expect(withLosses(result).validity).toMatchObject({
      valid: true,
      problems: [],
      warnings: [{ what: 'max_failed' }, { what: 'max_engine_restarts' }],
    });
  });

  it('is not valid when its counts are wrong', () => {
    const validity = judged({ spoil: each(() => ({ model: 'other' })) });
    const result = { concurrency: 10, validity } as ServingResult;
    expect(reasonsOf([10], [result], true).map(({ what }) => what)).toEqual(['max_other_model']);
  });
});
