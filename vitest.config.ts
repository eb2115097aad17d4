import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { KINDS, type Kind, testsByKind } from './test/support/kinds.ts';
import { LongestFirst } from './test/support/longest-first.ts';

/**
 * Which tests with real programs (test/real) run: `quick` ones (the default), all of them (`full`), those that are not
 * quick (`rest`), or none (`no`).
 */
const real = process.env.REAL || 'quick';
const isReal = (path: string): boolean => path.startsWith('test/real/');
const isSlow = (path: string): boolean => path.endsWith('.full.test.ts');

const chosen: Readonly<Record<string, (path: string) => boolean>> = {
  full: isReal,
  rest: (path) => isReal(path) && isSlow(path),
  no: (path) => !isReal(path),
};
const isChosen = chosen[real] ?? ((path: string) => !isSlow(path));

const tests = testsByKind(import.meta.dirname);

/** `vitest run --project unit` runs one kind of test. */
const project = (kind: Kind) => ({
  extends: true as const,
  test: {
    name: kind,
    include: tests[kind].filter(isChosen),
    // Unit tests share a process, because loading the modules anew for each file takes longer than the tests.
    ...(kind === 'unit' ? { isolate: false } : { globalSetup: ['test/support/build.ts'] }),
  },
});

export default defineConfig({
  test: {
    projects: KINDS.filter((kind) => tests[kind].some(isChosen)).map(project),
    reporters: [process.env.CI ? 'verbose' : 'default', './test/support/totals.ts'],
    // Suites that start real processes measure nothing and wait more than they compute; real engines compute.
    maxWorkers: real === 'full' || real === 'rest' ? 2 : Math.max(3, availableParallelism()),
    sequence: { sequencer: LongestFirst },
    // Nothing is measured by them, and a busy machine takes its time.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
