import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomPrompts, seededRandom } from '../../src/benchmarks/loadgen/dataset.ts';
import { arrivalTimes } from '../../src/benchmarks/loadgen/run.ts';
import { distributionOf, percentile, Samples } from '../../src/benchmarks/loadgen/statistics.ts';
import { Summary } from '../../src/benchmarks/loadgen/summary.ts';

const values = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 200 });

describe('distributions', () => {
  it('lie between their extremes, with percentiles in order', () => {
    fc.assert(
      fc.property(values, (some) => {
        const { mean, median, p90, p95, p99, min, max, std } = distributionOf(some);
        const order = [min, median, p90, p95, p99, max];
        expect(order).toEqual(order.toSorted((a, b) => a - b));
        expect(mean).toBeGreaterThanOrEqual(min - 1e-6);
        expect(mean).toBeLessThanOrEqual(max + 1e-6);
        expect(std).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('agree with figures computed by hand', () => {
    expect(distributionOf([4, 1, 3, 2])).toMatchObject({ mean: 2.5, median: 2.5, min: 1, max: 4, p90: 3.7 });
    expect(percentile([10], 99)).toBe(10);
    expect(distributionOf([]).mean).toBe(0);
  });

  it('are the same for samples that came one by one', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 30 }), (some, times) => {
        const samples = new Samples();
        const many = Array.from({ length: times }, () => some).flat();
        for (const value of many) samples.add(value);
        expect(samples.distribution()).toEqual(distributionOf(many));
      }),
    );
  });
});

describe('random prompts', () => {
  const ids = [7, 1_000, 20_999];

  it('have lengths between ratio × length and length, and are the same for the same seed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer(),
        (isl, osl, randomRangeRatio, seed) => {
          const make = () =>
            Array.from(
              randomPrompts({ isl, osl, randomRangeRatio, prompts: 'tokens' }, ids, 5, seededRandom(seed)),
            );
          const prompts = make();
          expect(make()).toEqual(prompts);
          for (const { content, inputTokens, outputTokens } of prompts) {
            expect(content).toHaveLength(inputTokens);
            expect((content as number[]).every((id) => ids.includes(id))).toBe(true);
            expect(inputTokens).toBeLessThanOrEqual(isl);
            expect(inputTokens).toBeGreaterThanOrEqual(Math.max(1, Math.floor(isl * randomRangeRatio)));
            expect(outputTokens).toBeLessThanOrEqual(osl);
          }
        },
      ),
    );
  });

  it('are as many words as tokens for a server that accepts only text', () => {
    const shape = { isl: 40, osl: 1, randomRangeRatio: 0.5, prompts: 'words' as const };
    for (const { content, inputTokens } of randomPrompts(shape, [], 20, seededRandom(3)))
      expect(String(content).split(' ')).toHaveLength(inputTokens);
  });

  it('are made when they are needed, not all at once', () => {
    const shape = { isl: 8_192, osl: 1, randomRangeRatio: 1, prompts: 'tokens' as const };
    const prompts = randomPrompts(shape, ids, Number.MAX_SAFE_INTEGER, seededRandom(3));
    expect(prompts.next().value?.inputTokens).toBe(8_192);
  });
});

describe('arrivals', () => {
  it('come at the requested rate on the average, and never go back', () => {
    const next = arrivalTimes(50, seededRandom(1));
    const times = Array.from({ length: 5_000 }, next);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect((times.at(-1) ?? 0) / 1_000).toBeGreaterThan(90);
    expect((times.at(-1) ?? 0) / 1_000).toBeLessThan(110);
    expect(arrivalTimes('inf', Math.random)()).toBe(0);
  });
});

describe('the summary of a run', () => {
  it('counts failed requests as failed and in no figure', () => {
    const one = {
      startedAt: 0,
      endedAt: 1_000,
      ttftMs: 100,
      gapsMs: [10, 20],
      inputTokens: 7,
      outputTokens: 10,
      error: null,
    };
    const config = { isl: 8, osl: 10, requestRate: 'inf' as const };
    const bad = { ...one, endedAt: 2_000, ttftMs: 9_999, outputTokens: 0, error: 'HTTP 500: no' };
    const summary = new Summary(config, 2);
    for (const measured of [one, { ...one, startedAt: 500, endedAt: 2_000 }, bad]) summary.add(measured);
    const result = summary.result();
    expect(result).toMatchObject({
      requests: 3,
      completed: 2,
      failed: 1,
      errors: ['HTTP 500: no'],
      durationS: 2,
    });
    expect(result).toMatchObject({
      inputTokens: 14,
      outputTokens: 20,
      outputThroughput: 10,
      requestThroughput: 1,
    });
    expect(result.ttftMs).toMatchObject({ mean: 100, max: 100 });
    expect(result.tpotMs.min).toBe(100);
    expect(result.itlMs.mean).toBe(15);
  });

  it('reports a few distinct errors, for any number of failed requests', () => {
    const summary = new Summary({ isl: 1, osl: 1, requestRate: 2 }, 1);
    const bad = { startedAt: 0, endedAt: 1, ttftMs: 0, gapsMs: [], inputTokens: 1, outputTokens: 0 };
    for (let index = 0; index < 100; index++) summary.add({ ...bad, error: `error ${index % 20}` });
    const { errors, failed, requestRate, ttftMs } = summary.result();
    expect(errors).toEqual(['error 0', 'error 1', 'error 2', 'error 3', 'error 4']);
    expect({ failed, requestRate, mean: ttftMs.mean }).toEqual({ failed: 100, requestRate: 2, mean: 0 });
  });
});
