import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PlainSummary, Summary } from '../../../src/benchmarks/loadgen/figures/summary.ts';
import { seededRandom } from '../../../src/benchmarks/loadgen/workload/random.ts';
import type { ServingResult } from '../../../src/messages/job-directory/serving-result.ts';
import { measured } from '../../support/measured.ts';
import { simulatedRun } from '../../support/simulated-run.ts';

const CONFIG = { isl: 100, osl: 20, requestRate: 'inf' as const };
const summaryOf = (run: readonly Parameters<Summary['add']>[0][], concurrency = 2, over = {}) => {
  const summary = new Summary({ ...CONFIG, ...over }, concurrency, { begin: 0, model: 'served' });
  for (const one of run) summary.add(one);
  return summary;
};
/** A request whose tokens come one each 10 ms, the first one after 100 ms. */
const request = (index: number, startedAt: number, tokens = 11) =>
  measured({
    ...{ index, startedAt, ttftMs: 100, gapsMs: Array.from({ length: tokens - 1 }, () => 10) },
    ...{ endedAt: startedAt + 100 + 10 * (tokens - 1), inputTokens: 50, outputTokens: tokens },
  });

/** Numbers rounded to nine digits, because sums in another order differ in the last ones. */
const rounded = (result: ServingResult): unknown =>
  JSON.parse(JSON.stringify(result), (_, value) =>
    typeof value === 'number' ? Number(value.toPrecision(9)) : value,
  );

describe('a summary', () => {
  it('of several threads is that of the whole run, in any split', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 4 }), fc.boolean(), (seed, parts, hasRate) => {
        const random = seededRandom(seed);
        const shape = {
          ...{ concurrency: 4, requests: 120, rate: hasRate ? 40 : null, isl: 100, osl: 20 },
          ...{ ttftMs: 50, tpotMs: 5, perChunk: 2 },
        };
        const run = simulatedRun(shape, random).map((one) =>
          random() < 0.05 ? { ...one, error: `no ${Math.floor(random() * 3)}` } : one,
        );
        const over = {
          requestRate: shape.rate ?? ('inf' as const),
          rates: true,
          slo: { ttftMs: 60, tpotMs: 5 },
          gpus: { total: 4, prefill: 1, decode: 3 },
        };
        const whole = summaryOf(run, 4, over);
        const merged = summaryOf([], 4, over);
        for (let part = 0; part < parts; part++) {
          const some = summaryOf(
            run.filter((_, at) => at % parts === part),
            4,
            over,
          );
          merged.merge(JSON.parse(JSON.stringify(some.plain())) as PlainSummary);
        }
        const { errors: a, rates: b, ...got } = merged.result();
        const { errors: c, rates: d, ...expected } = whole.result();
        expect(rounded(got as ServingResult)).toEqual(rounded(expected as ServingResult));
        expect(a.toSorted()).toEqual(c.toSorted());
        expect({ ...b, since: 0 }).toEqual({ ...d, since: 0 });
        expect(merged.proofs().slowStart).toEqual(whole.proofs().slowStart);
        expect(merged.proofs().evidence.counts).toEqual(whole.proofs().evidence.counts);
      }),
      { numRuns: 30 },
    );
  });

  it('counts the steady window from the last of the first requests to the last one sent', () => {
    // Two at a time: at 0 and 50, then as each ends after 200 ms.
    const run = [0, 50, 200, 250, 400, 450].map((at, index) => request(index, at));
    const { steady, outputThroughput } = summaryOf(run).result();
    if (!steady || 'why' in steady) throw new Error('there is no steady window');
    expect([steady.fromS, steady.toS]).toEqual([0.05, 0.45]);
    // Requests end at 200, 250, 400 and 450 ms; the first tokens come at 100, 150, 300, 350 ms.
    expect(steady.requestThroughput).toBeGreaterThanOrEqual(3 / 0.4);
    expect(steady.inputThroughput).toBeCloseTo((4 * 50) / 0.4, 5);
    // Two streams that each send 11 tokens in 200 ms; the whole run has a begin and an end with less.
    expect(steady.outputThroughput).toBeGreaterThan(100);
    expect(steady.outputThroughput).toBeGreaterThan(outputThroughput);
  });

  it('has no steady window when no more requests were sent than run at a time', () => {
    expect(summaryOf([request(0, 0), request(1, 1)]).result().steady).toEqual({
      why: expect.stringContaining('never steady'),
    });
  });

  it('has the times from the intended one with a rate only', () => {
    const late = { ...request(0, 500), intendedAt: 200, queuedMs: 300 };
    const result = summaryOf([late], 2, { requestRate: 5 }).result();
    expect(result.ttftMs.mean).toBe(100);
    expect(result.ttftFromIntendedMs?.mean).toBe(400);
    expect(result.e2elFromIntendedMs?.mean).toBe(500);
    expect(result.queuedMs?.mean).toBe(300);
    expect(summaryOf([late]).result().ttftFromIntendedMs).toBeUndefined();
  });

  it('says goodput of requests within all limits that are set', () => {
    const run = [request(0, 0), { ...request(1, 0), ttftMs: 150 }, { ...request(2, 0), error: 'no' }];
    const goodput = (slo: object) => summaryOf(run, 2, { slo }).result().goodput;
    expect(goodput({})).toBeUndefined();
    expect(goodput({ ttftMs: 100 })).toMatchObject({ requests: 1, share: 1 / 3, requestThroughput: 5 });
    expect(goodput({ ttftMs: 200, tpotMs: 5 })).toMatchObject({ requests: 1 });
    expect(goodput({ e2elMs: 199 })).toMatchObject({ requests: 0, outputThroughput: 0 });
    expect(goodput({ e2elMs: 200 })).toMatchObject({ requests: 2, outputThroughput: 110 });
  });

  it('divides each phase by its own GPUs', () => {
    const { perGpu, inputThroughput, outputThroughput } = summaryOf([request(0, 0)], 1, {
      gpus: { total: 8, prefill: 2, decode: 6 },
    }).result();
    expect(perGpu).toMatchObject({
      outputPerGpu: outputThroughput / 8,
      inputPerPrefillGpu: inputThroughput / 2,
      outputPerDecodeGpu: outputThroughput / 6,
      totalPerGpu: (inputThroughput + outputThroughput) / 8,
    });
  });

  it('has tokens of a chunk, speed of a user, and lengths', () => {
    const four = { ...request(0, 0), outputTokens: 44 };
    const result = summaryOf([four]).result();
    expect(result).toMatchObject({
      chunks: 11,
      tokensPerChunk: 4,
      islReached: { mean: 50 },
      oslReached: { mean: 44 },
    });
    // 43 tokens after the first one in 100 ms.
    expect(result.outputPerUser?.mean).toBeCloseTo(430, 6);
    expect(result.itlMs).toMatchObject({ mean: 10, count: 10 });
  });

  it('needs no more memory for three hundred thousand requests than for a few', () => {
    const summary = summaryOf([]);
    const one = request(0, 0);
    const shift = (index: number) => ({ ...one, index, startedAt: 10 * index, endedAt: 10 * index + 200 });
    for (let index = 0; index < 300_000; index++) summary.add(shift(index));
    const { fine, drift, distributions } = summary.plain();
    expect(fine.counts.outputTokens.length).toBeLessThanOrEqual(4_096);
    expect(drift.requests.length).toBeLessThanOrEqual(32_768);
    expect(distributions.itlMs.buckets.length).toBeLessThan(10);
    expect(summary.result().requests).toBe(300_000);
  });
});
