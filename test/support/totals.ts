import type { Reporter, TestModule } from 'vitest/node';

/** As much of a text as fits where only the end of a log is shown. */
const SHORT = 100;

/**
 * Prints, after all else, what failed in a line each and the totals alone on the last line: `N passed, N failed`. In CI
 * nothing may be skipped: what is, is named and has failed.
 */
export default class Totals implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let broken = errors.length;
    const lines = errors.map((error) => `no test's: ${inShort(error)}`);
    const inCi = process.env.CI === 'true';
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state, errors: whys } = test.result();
        count[state]++;
        if (state === 'passed' || (state !== 'failed' && !inCi)) continue;
        const why = state === 'failed' ? inShort(whys?.[0]) : state;
        lines.push(`${module.relativeModuleId}: ${test.name.slice(0, SHORT)}: ${why}`);
      }
      // A file that could not be loaded has no tests to fail.
      if (module.state() !== 'failed' || module.errors().length === 0) continue;
      broken++;
      for (const error of module.errors()) lines.push(`${module.relativeModuleId}: ${inShort(error)}`);
    }
    if (inCi && count.skipped + count.pending > 0) process.exitCode = 1;
    if (lines.length > 0) {
      process.stdout.write(`\nFailed${inCi ? ' (in CI also what is skipped)' : ''}:\n${lines.join('\n')}\n`);
    }
    const skipped = inCi ? 0 : count.skipped + count.pending;
    const failed = count.failed + broken + (inCi ? count.skipped + count.pending : 0);
    process.stdout.write(
      `\n${count.passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`,
    );
  }
}

function inShort(error: unknown): string {
  const text = error instanceof Object && 'message' in error ? String(error.message) : String(error);
  return text.replaceAll('\n', ' ').slice(0, SHORT);
}
