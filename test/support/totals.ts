import type { Reporter, TestModule } from 'vitest/node';

/** Prints the totals alone on the last line: `N passed, N failed`. */
export default class Totals implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let broken = errors.length;
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state]++;
      // A file that could not be loaded has no tests to fail.
      if (module.state() === 'failed' && module.errors().length > 0) broken++;
    }
    const skipped = count.skipped + count.pending;
    const failed = count.failed + broken;
    process.stdout.write(
      `\n${count.passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`,
    );
  }
}
