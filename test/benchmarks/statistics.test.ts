import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomPrompts, seededRandom } from '../../src/benchmarks/loadgen/dataset.ts';
import { arrivalTimes, summarise } from '../../src/benchmarks/loadgen/run.ts';
import { distributionOf, percentile } from '../../src/benchmarks/loadgen/statistics.ts';

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

  it('agree with figures worked out by hand', () => {
    expect(distributionOf([4, 1, 3, 2])).toMatchObject({ mean: 2.5, median: 2.5, min: 1, max: 4, p90: 3.7 });
    expect(percentile([10], 99)).toBe(10);
    expect(distributionOf([]).mean).toBe(0);
  });
});

describe('random prompts', () => {
  it('have lengths between ratio × length and length, and are the same for the same seed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer(),
        (isl, osl, randomRangeRatio, seed) => {
          const make = () =>
            randomPrompts({ isl, osl, randomRangeRatio, prompts: 'tokens' }, 5, seededRandom(seed));
          const prompts = make();
          expect(make()).toEqual(prompts);
          for (const { content, inputTokens, outputTokens } of prompts) {
            expect(content).toHaveLength(inputTokens);
            expect(inputTokens).toBeLessThanOrEqual(isl);
            expect(inputTokens).toBeGreaterThanOrEqual(Math.max(1, Math.floor(isl * randomRangeRatio)));
            expect(outputTokens).toBeLessThanOrEqual(osl);
          }
        },
      ),
    );
  });
});

describe('arrivals', () => {
  it('come at the rate asked for, on the average, and never go back', () => {
    const times = arrivalTimes(50, 5_000, seededRandom(1));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect((times.at(-1) ?? 0) / 1_000).toBeGreaterThan(90);
    expect((times.at(-1) ?? 0) / 1_000).toBeLessThan(110);
    expect(arrivalTimes('inf', 10, Math.random)).toEqual([]);
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
    const result = summarise(config, 2, [one, { ...one, startedAt: 500, endedAt: 2_000 }, bad]);
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
});
