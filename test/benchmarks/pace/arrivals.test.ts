import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrivalTimes, limitAt, limitReached } from '../../../src/benchmarks/loadgen/pace/arrivals.ts';
import type { PaceSettings } from '../../../src/benchmarks/loadgen/pace/settings.ts';
import { seededRandom } from '../../../src/benchmarks/loadgen/workload/random.ts';

const COUNT = 20_000;
const pace = (over: Partial<PaceSettings> = {}): PaceSettings => ({
  ...{ requestRate: 50, arrivals: 'poisson', burstiness: 1, rampUpS: 0, durationS: null },
  ...over,
});
const timesOf = (over: Partial<PaceSettings>, seed = 1, count = COUNT): number[] =>
  Array.from({ length: count }, arrivalTimes(pace(over), seededRandom(seed)));

/** Mean of the gaps in ms, and their variance in units of the mean's square. */
function gapsOf(times: readonly number[]): { mean: number; variance: number } {
  const gaps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const squares = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0);
  return { mean, variance: squares / gaps.length / mean ** 2 };
}

describe('arrivals', () => {
  it.each([
    ['poisson', 1, 1],
    ['gamma', 1, 1],
    ['gamma', 0.25, 4],
    ['gamma', 4, 0.25],
    ['constant', 1, 0],
  ] as const)(
    'of %s with burstiness %s have the mean of the rate, and the variance of their kind',
    (arrivals, burstiness, expected) => {
      for (const seed of [1, 2, 3]) {
        const { mean, variance } = gapsOf(timesOf({ arrivals, burstiness }, seed));
        // Five standard errors of the mean; of the variance a rough bound, since gamma's has long tails.
        expect(Math.abs(mean - 20)).toBeLessThanOrEqual(20 * 5 * Math.sqrt(expected / COUNT) + 1e-6);
        expect(Math.abs(variance - expected)).toBeLessThanOrEqual(0.15 * expected + 1e-6);
      }
    },
  );

  it('begin at once, never go back, and follow from the seed', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 5_000, noNaN: true }),
        fc.constantFrom('poisson', 'gamma', 'constant'),
        fc.double({ min: 0.05, max: 50, noNaN: true }),
        fc.double({ min: 0, max: 100, noNaN: true }),
        fc.integer(),
        (requestRate, arrivals, burstiness, rampUpS, seed) => {
          const over = { requestRate, arrivals, burstiness, rampUpS };
          const times = timesOf(over, seed, 50);
          expect(times[0]).toBe(0);
          expect(times).toEqual(times.toSorted((a, b) => a - b));
          expect(times.every(Number.isFinite)).toBe(true);
          expect(timesOf(over, seed, 50)).toEqual(times);
        },
      ),
    );
  });

  it('are all at once without a rate', () => {
    expect(timesOf({ requestRate: 'inf' }, 1, 3)).toEqual([0, 0, 0]);
  });

  it('rise evenly in a ramp, and then have the rate', () => {
    const times = timesOf({ arrivals: 'constant', requestRate: 100, rampUpS: 10 });
    const until = (seconds: number) => times.filter((time) => time < seconds * 1_000).length;
    // The area below the rate: 100/s · t²/(2 · 10 s).
    expect(Math.abs(until(5) - 125)).toBeLessThanOrEqual(1);
    expect(Math.abs(until(10) - 500)).toBeLessThanOrEqual(1);
    expect(Math.abs(until(12) - until(11) - 100)).toBeLessThanOrEqual(1);
  });
});

describe('a concurrency that rises', () => {
  it('is one at first and all of it at the end, and is reached when it says', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5_000 }),
        fc.double({ min: 0.1, max: 600, noNaN: true }),
        (all, ramp) => {
          expect(limitAt(all, ramp, 0)).toBe(1);
          expect(limitAt(all, ramp, ramp * 1_000)).toBe(all);
          for (const count of [1, Math.floor(all / 2), all - 1].filter((one) => one >= 1 && one < all)) {
            const at = limitReached(all, ramp, count);
            expect(limitAt(all, ramp, at + 1e-3)).toBeGreaterThan(count);
            expect(limitAt(all, ramp, at - 1e-3)).toBeLessThanOrEqual(count);
          }
        },
      ),
    );
    expect(limitAt(8, 0, 0)).toBe(8);
  });
});
