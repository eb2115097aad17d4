import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: [process.env.CI ? 'verbose' : 'default', './test/support/totals.ts'],
    globalSetup: ['test/support/build.ts'],
    // Suites that start real processes measure nothing, but two cores are soon full.
    maxWorkers: 2,
    // Nothing is measured by them, and a busy machine takes its time.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
