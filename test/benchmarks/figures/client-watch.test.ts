import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { watchClient } from '../../../src/benchmarks/loadgen/figures/client-watch.ts';

afterEach(() => vi.restoreAllMocks());

/** Keeps this thread from its sockets. */
function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

describe('a watched client', () => {
  it('was busy and late when it kept away from its sockets', async () => {
    const watch = watchClient();
    await setTimeout(10);
    block(100);
    await setTimeout(10);
    const { busy, delayMaxMs, delayP99Ms, clockStepMs } = watch.end();
    expect(delayMaxMs).toBeGreaterThan(90);
    expect(delayMaxMs).toBeGreaterThanOrEqual(delayP99Ms);
    expect(busy).toBeGreaterThan(0.1);
    expect(clockStepMs).toBeLessThan(90);
  });

  it('sees that the clock was set, also when it was set back', () => {
    const now = Date.now.bind(Date);
    const watch = watchClient();
    vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000);
    expect(watch.end().clockStepMs).toBeGreaterThan(3_599_000);
  });
});
