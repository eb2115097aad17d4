import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/**
 * Which tests with real programs (test/real) run: `quick` ones (the default), all of them (`full`), those that are not
 * quick (`rest`), or none (`no`).
 */
const real = process.env.REAL || 'quick';
const slow = 'test/real/**/*.full.test.ts';

export default defineConfig({
  test: {
    include: real === 'full' ? ['test/real/**/*.test.ts'] : real === 'rest' ? [slow] : ['test/**/*.test.ts'],
    exclude: real === 'full' || real === 'rest' ? [] : real === 'no' ? ['test/real/**'] : [slow],
    reporters: [process.env.CI ? 'verbose' : 'default', './test/support/totals.ts'],
    globalSetup: ['test/support/build.ts'],
    // Suites that start real processes measure nothing and wait more than they compute; real engines compute.
    maxWorkers: real === 'full' || real === 'rest' ? 2 : Math.max(3, availableParallelism()),
    sequence: { sequencer: LongestFirst },
    // Nothing is measured by them, and a busy machine takes its time.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
