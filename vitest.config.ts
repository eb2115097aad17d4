import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { KINDS, type Kind, testsByKind } from './test/support/kinds.ts';
import { LongestFirst } from './test/support/longest-first.ts';

/**
 * Which tests with real programs (test/real) run: `quick` ones (the default), all of them (`full`), those that are not
 * quick (`rest`), or none (`no`).
 */
const real = process.env.REAL || 'quick';
/** llm-d's programs are in no registry; they are built by hand, and SRTCTL_REAL_LLM_D says where. */
const hasLlmD = process.env.SRTCTL_REAL_LLM_D !== undefined;
const isReal = (path: string): boolean =>
  path.startsWith('test/real/') && (hasLlmD || !path.startsWith('test/real/llm-d.'));
const isSlow = (path: string): boolean => path.endsWith('.full.test.ts');

const chosen: Readonly<Record<string, (path: string) => boolean>> = {
  full: isReal,
  rest: (path) => isReal(path) && isSlow(path),
  no: (path) => !path.startsWith('test/real/'),
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

/**
 * The home directory of the tests. A custom benchmark runs in a login shell, and what the developer's own profile does
 * there is no part of a test: pyenv, for example, takes a lock, which a killed shell leaves, and then every later login
 * shell waits 60 s for it.
 */
const home = join(import.meta.dirname, '.srtctl', 'test-home');
mkdirSync(home, { recursive: true });

export default defineConfig({
  test: {
    env: { HOME: home },
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
