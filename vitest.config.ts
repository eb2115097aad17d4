import { defineConfig } from 'vitest/config';

/** Which tests with real programs (test/real) run: `quick` ones (the default), all of them (`full`), or none (`no`). */
const real = process.env.REAL || 'quick';
const slow = 'test/real/**/*.full.test.ts';

export default defineConfig({
  test: {
    include: real === 'full' ? ['test/real/**/*.test.ts'] : ['test/**/*.test.ts'],
    exclude: real === 'full' ? [] : real === 'no' ? ['test/real/**'] : [slow],
    reporters: [process.env.CI ? 'verbose' : 'default', './test/support/totals.ts'],
    globalSetup: ['test/support/build.ts'],
    // Suites that start real processes measure nothing, but two cores are soon full.
    maxWorkers: 2,
    // Nothing is measured by them, and a busy machine takes its time.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
