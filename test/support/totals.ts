import type { Reporter, TestModule } from 'vitest/node';

/**
 * Prints the totals alone on the last line: `N passed, N failed`. In CI nothing may be skipped: what is, is named and has
 * failed.
 */
export default class Totals implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let broken = errors.length;
    const skippedTests: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state]++;
        if (state === 'skipped') skippedTests.push(test.fullName);
      }
      // A file that could not be loaded has no tests to fail.
      if (module.state() === 'failed' && module.errors().length > 0) broken++;
    }
    const inCi = process.env.CI === 'true';
    if (inCi && skippedTests.length > 0) {
      process.stdout.write(`\nSkipped, and in CI nothing may be:\n${skippedTests.join('\n')}\n`);
      process.exitCode = 1;
    }
    const skipped = inCi ? 0 : count.skipped + count.pending;
    const failed = count.failed + broken + (inCi ? count.skipped + count.pending : 0);
    process.stdout.write(
      `\n${count.passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`,
    );
  }
}
