import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canFinish, expectedMs, TimeBudget, windUpMs } from '../../../src/coordinator/sweep/time-budget.ts';

const durations = fc.array(fc.integer({ min: 1, max: 10_000_000 }), { minLength: 1, maxLength: 60 });

describe('the remaining time', () => {
  it('is judged by the longest of a few points, and by the 95th of a hundred', () => {
    expect(expectedMs([])).toBeNull();
    expect(expectedMs([30, 10, 20])).toBe(30);
    expect(expectedMs(Array.from({ length: 100 }, (_, index) => index + 1))).toBe(95);
  });

  it('is enough for a point that ends before the time for stopping processes, and not for one that ends later', () => {
    fc.assert(
      fc.property(durations, fc.nat(), (durationsMs, now) => {
        const until = now + (expectedMs(durationsMs) ?? 0);
        expect(canFinish({ durationsMs, until, now })).toBe(true);
        expect(canFinish({ durationsMs, until: until - 1, now })).toBe(false);
      }),
    );
  });

  it('would have been enough for all but a twentieth of the points', () => {
    fc.assert(
      fc.property(durations, (durationsMs) => {
        const longer = durationsMs.filter((ms) => ms > (expectedMs(durationsMs) ?? 0));
        expect(longer.length).toBeLessThanOrEqual(durationsMs.length * 0.05);
      }),
    );
  });

  it('has no end when the allocation has none, and is enough before the first point', () => {
    expect(canFinish({ durationsMs: [1e12], until: null, now: 0 })).toBe(true);
    expect(canFinish({ durationsMs: [], until: 1, now: 0 })).toBe(true);
    expect(canFinish({ durationsMs: [], until: 0, now: 0 })).toBe(false);
  });

  it('excludes the time for stopping, which is at most a minute and a half, and less for a short allocation', () => {
    expect([60_000, 240_000, 3_600_000].map(windUpMs)).toEqual([8_000, 30_000, 90_000]);
    const hour = new TimeBudget(3_600_000, 0);
    expect(hour.isOver(3_509_999)).toBeNull();
    expect(hour.isOver(3_510_000)).toContain('1970-01-01T01:00:00.000Z');
    hour.took(100_000);
    expect(hour.refuses(1, 3_410_000)).toBeNull();
    expect(hour.refuses(1, 3_410_001)).toMatch(/point 1 is not started.*a point takes 100 s/);
    expect(new TimeBudget(null, 0).isOver(1e15)).toBeNull();
  });
});
