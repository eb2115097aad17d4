import { describe, expect, it } from 'vitest';
import { durationMs, patternOf, timeOf } from '../../../src/cli/terminal/since.ts';

const NOW = new Date(2026, 0, 31, 12, 0, 0).getTime();

describe('a time on the command line', () => {
  it.each([
    ['90s', 90_000],
    ['10m', 600_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
  ])('%s is so long ago', (text, ms) => {
    expect(timeOf(text, NOW)).toBe(NOW - ms);
    expect(durationMs(text)).toBe(ms);
  });

  it.each([
    ['11:30', new Date(2026, 0, 31, 11, 30)],
    ['11:30:15', new Date(2026, 0, 31, 11, 30, 15)],
    ['2026-01-30', new Date(2026, 0, 30)],
    ['2026-01-30 08:00', new Date(2026, 0, 30, 8)],
    ['2026-01-30T08:00:00Z', new Date(Date.UTC(2026, 0, 30, 8))],
  ])('%s is a date or a time of today, local without a zone', (text, date) => {
    expect(timeOf(text, NOW)).toBe(date.getTime());
  });

  it.each(['yesterday', '10', '25:00', '10x', '2026-13-40', ''])('%j is refused with examples', (text) => {
    expect(() => timeOf(text, NOW)).toThrow(
      expect.objectContaining({ code: 'usage', hint: expect.stringContaining('10m') }),
    );
  });

  it('an invalid expression of --grep is refused', () => {
    expect(() => patternOf('(', false)).toThrow(/--grep \( is no regular expression/);
    expect(patternOf('FAILED', true).test('failed')).toBe(true);
  });
});
