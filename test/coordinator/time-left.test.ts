import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canFinish, expectedMs, WIND_UP_MS } from '../../src/coordinator/time-left.ts';

const durations = fc.array(fc.integer({ min: 1, max: 10_000_000 }), { minLength: 1, maxLength: 60 });

describe('the time that is left', () => {
  it('is reckoned by the longest of a few points, and by the 95th of a hundred', () => {
    expect(expectedMs([])).toBeNull();
    expect(expectedMs([30, 10, 20])).toBe(30);
    expect(expectedMs(Array.from({ length: 100 }, (_, index) => index + 1))).toBe(95);
  });

  it('is enough for a point that ends before what runs has to be wound up, and not for one that ends after', () => {
    fc.assert(
      fc.property(durations, fc.nat(), (durationsMs, now) => {
        const end = now + (expectedMs(durationsMs) ?? 0) + WIND_UP_MS;
        expect(canFinish({ durationsMs, endsAt: end, now })).toBe(true);
        expect(canFinish({ durationsMs, endsAt: end - 1, now })).toBe(false);
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

  it('is without end when the allocation is, and not known to be too short before the first point', () => {
    expect(canFinish({ durationsMs: [1e12], endsAt: null, now: 0 })).toBe(true);
    expect(canFinish({ durationsMs: [], endsAt: WIND_UP_MS + 1, now: 0 })).toBe(true);
    expect(canFinish({ durationsMs: [], endsAt: WIND_UP_MS, now: 0 })).toBe(false);
  });
});
