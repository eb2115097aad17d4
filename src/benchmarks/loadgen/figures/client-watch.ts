import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { ClientFigures } from '../../../messages/job-directory/serving-result.ts';

/** How often the event loop is looked at, ms. The monitor counts this time as delay. */
const LOOK_MS = 2;
const CLOCK_MS = 500;

/**
 * Watches this thread of the load generator until `end` is called: how much of a core it used, how late it
 * came back to its sockets, and whether the wall clock was set.
 */
export function watchClient(): { end(): ClientFigures } {
  const delays = monitorEventLoopDelay({ resolution: LOOK_MS });
  const busy = performance.eventLoopUtilization();
  const apart = () => Date.now() - performance.now();
  const began = apart();
  let clockStepMs = 0;
  const lookAtClock = (): void => {
    clockStepMs = Math.max(clockStepMs, Math.abs(apart() - began));
  };
  const timer = setInterval(lookAtClock, CLOCK_MS);
  timer.unref();
  delays.enable();
  return {
    end() {
      delays.disable();
      clearInterval(timer);
      lookAtClock();
      const ms = (ns: number): number => (delays.count === 0 ? 0 : Math.max(ns / 1e6 - LOOK_MS, 0));
      return {
        busy: performance.eventLoopUtilization(busy).utilization,
        delayP99Ms: ms(delays.percentile(99)),
        delayMaxMs: ms(delays.max),
        clockStepMs,
      };
    },
  };
}
