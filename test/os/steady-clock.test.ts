import { expect, it, vi } from 'vitest';
import { createSteadyClock } from '../../src/os/steady-clock.ts';

it('does not jump when the wall clock is set, also in a process that got the offset', () => {
  const HOUR_MS = 3_600_000;
  const real = Date.now();
  const clock = createSteadyClock();
  const wall = vi.spyOn(Date, 'now').mockReturnValue(real + HOUR_MS);
  try {
    for (const each of [clock, createSteadyClock(clock.offsetMs)]) {
      expect(each.now()).toBeGreaterThanOrEqual(real);
      expect(each.now()).toBeLessThan(real + HOUR_MS / 2);
    }
    expect(createSteadyClock().now()).toBeGreaterThan(real + HOUR_MS / 2);
  } finally {
    wall.mockRestore();
  }
});
