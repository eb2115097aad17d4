import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram } from '../../../src/benchmarks/loadgen/statistics/histogram.ts';

/** Times in ms, of at least a picosecond: the squares of much smaller ones are no numbers. */
const LEAST = 1e-9;
const values = fc.array(
  fc.oneof(
    fc.double({ min: LEAST, max: 1e7, noNaN: true }),
    fc.constant(0),
    fc.double({ min: LEAST, max: 1, noNaN: true }),
  ),
  { minLength: 1, maxLength: 300 },
);
const histogramOf = (some: readonly number[]): Histogram => {
  const histogram = new Histogram();
  for (const value of some) histogram.add(value);
  return histogram;
};

/** numpy.percentile's default, of all values. */
function exactly(some: readonly number[], share: number): number {
  const sorted = some.toSorted((a, b) => a - b);
  const rank = share * (sorted.length - 1);
  const below = sorted[Math.floor(rank)] ?? 0;
  return below + ((sorted[Math.ceil(rank)] ?? below) - below) * (rank - Math.floor(rank));
}
const SHARES = { p1: 0.01, p25: 0.25, median: 0.5, p90: 0.9, p99: 0.99, p999: 0.999 };

describe('a histogram', () => {
  it('has percentiles within 0.1 %, and an exact mean, spread and extremes', () => {
    fc.assert(
      fc.property(values, (some) => {
        const got = histogramOf(some).distribution();
        for (const [name, share] of Object.entries(SHARES)) {
          const exact = exactly(some, share);
          expect(Math.abs(Number(got[name as 'p1']) - exact)).toBeLessThanOrEqual(exact * 0.001);
        }
        const mean = some.reduce((sum, value) => sum + value, 0) / some.length;
        const std = Math.sqrt(some.reduce((sum, value) => sum + (value - mean) ** 2, 0) / some.length);
        expect(got.mean).toBeCloseTo(mean, 5);
        expect(Math.abs(got.std - std)).toBeLessThanOrEqual(1e-6 * (std + mean));
        expect([got.min, got.max, got.count]).toEqual([Math.min(...some), Math.max(...some), some.length]);
      }),
    );
  });

  it('of several parts is that of all values, in any order, also after JSON', () => {
    fc.assert(
      fc.property(fc.array(values, { minLength: 1, maxLength: 5 }), (parts) => {
        const merged = new Histogram();
        for (const part of parts.toReversed())
          merged.merge(
            JSON.parse(JSON.stringify(histogramOf(part).plain())) as ReturnType<Histogram['plain']>,
          );
        const [got, whole] = [merged.plain(), histogramOf(parts.flat()).plain()];
        expect(got.buckets).toEqual(whole.buckets);
        expect([got.count, got.zeros, got.min, got.max]).toEqual([
          whole.count,
          whole.zeros,
          whole.min,
          whole.max,
        ]);
        expect(Math.abs(got.mean - whole.mean)).toBeLessThanOrEqual(1e-12 * Math.abs(whole.mean));
        expect(Math.abs(got.squares - whole.squares)).toBeLessThanOrEqual(1e-9 * whole.squares + 1e-12);
        expect(Histogram.from(got).plain()).toEqual(got);
      }),
    );
  });

  it('has percentiles in order, between the extremes', () => {
    fc.assert(
      fc.property(values, (some) => {
        const { min, p1, p5, p10, p25, median, p75, p90, p95, p99, p999, max } =
          histogramOf(some).distribution();
        const order = [min, p1, p5, p10, p25, median, p75, p90, p95, p99, p999, max];
        expect(order).toEqual(order.toSorted((a, b) => Number(a) - Number(b)));
      }),
    );
  });

  it('agrees with figures computed by hand', () => {
    const got = histogramOf([4, 1, 3, 2]).distribution();
    expect(got).toMatchObject({ mean: 2.5, min: 1, max: 4, count: 4, std: Math.sqrt(1.25) });
    expect(got.median).toBeCloseTo(2.5, 2);
    expect(got.p90).toBeCloseTo(3.7, 2);
  });

  it('marks percentiles that one value would decide', () => {
    const of = (count: number) =>
      histogramOf(Array.from({ length: count }, (_, at) => at)).distribution().tooFew;
    expect(of(1_000)).toEqual([]);
    expect(of(999)).toEqual(['p999']);
    expect(of(99)).toEqual(['p1', 'p99', 'p999']);
    expect(of(19)).toEqual(['p1', 'p5', 'p95', 'p99', 'p999']);
    expect(of(0)).toContain('median');
  });

  it('is all zeros without values, and takes no value that is no number', () => {
    expect(new Histogram().distribution()).toMatchObject({
      count: 0,
      mean: 0,
      p99: 0,
      min: 0,
      max: 0,
      std: 0,
    });
    expect(() => new Histogram().add(Number.NaN)).toThrow('NaN cannot be measured');
  });
});
