import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frontier, type Place } from '../../../src/report/model/frontier.ts';

const place = fc.record({ x: fc.integer({ min: 0, max: 20 }), y: fc.integer({ min: 0, max: 20 }) });
const beats = (a: Place, b: Place): boolean => a.x >= b.x && a.y >= b.y && (a.x > b.x || a.y > b.y);

describe('the frontier', () => {
  it('has no place that another one beats, and every place is on it or is beaten or equalled by one on it', () => {
    fc.assert(
      fc.property(fc.array(place), (places) => {
        const best = frontier(places);
        for (const one of best) expect(places.some((other) => beats(other, one))).toBe(false);
        for (const one of places)
          expect(best.some((other) => beats(other, one) || (other.x === one.x && other.y === one.y))).toBe(
            true,
          );
        expect(best.map(({ x }) => x)).toEqual([...new Set(best.map(({ x }) => x))].sort((a, b) => a - b));
      }),
    );
  });
});
