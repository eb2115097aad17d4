import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** The part of a text that fits where only the end of a log is shown. */
const SHORT = 100;

/**
 * Prints each failure in one line at the end, and then the totals alone on the last line: `N passed, N failed`. In CI
 * no test may be skipped: a skipped test is named and counts as failed.
 *
 * A run of some tests on another Node (scripts/lts.sh) prints no such line. Its failures go into a file, and the run of
 * the whole suite counts them.
 *
 * Runs with the same file TOTALS add up: the last line of each is the sum so far.
 */
export default class Totals implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let broken = errors.length;
    const lines = errors.map((error) => `no test's: ${inShort(error)}`);
    const { FAILURES_TO, FAILURES_BEFORE, TESTS_OF, TOTALS, CI } = process.env;
    const inCi = CI === 'true' && !TESTS_OF;
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state, errors: whys } = test.result();
        count[state]++;
        if (state === 'passed' || (state !== 'failed' && !inCi)) continue;
        const why = state === 'failed' ? inShort(whys?.[0]) : state;
        lines.push(`${module.relativeModuleId}: ${test.name.slice(0, SHORT)}: ${why}`);
      }
      // A file that could not be loaded has no test that could fail.
      if (module.state() !== 'failed' || module.errors().length === 0) continue;
      broken++;
      for (const error of module.errors()) lines.push(`${module.relativeModuleId}: ${inShort(error)}`);
    }
    const skipped = count.skipped + count.pending;
    if (TESTS_OF) {
      const left = `${TESTS_OF}: ${count.passed} tests hold, ${count.failed + broken} do not`;
      process.stdout.write(`\n${[...lines, left].join('\n')}\n`);
      if (FAILURES_TO && count.failed + broken > 0)
        appendFileSync(FAILURES_TO, lines.map((line) => `${TESTS_OF}: ${line}\n`).join(''));
      return;
    }
    const before = FAILURES_BEFORE ? readFileSync(FAILURES_BEFORE, 'utf8').split('\n').filter(Boolean) : [];
    if ((inCi && skipped > 0) || before.length > 0) process.exitCode = 1;
    lines.push(...before);
    if (lines.length > 0) {
      process.stdout.write(`\nFailed${inCi ? ' (in CI also what is skipped)' : ''}:\n${lines.join('\n')}\n`);
    }
    const failed = count.failed + broken + before.length + (inCi ? skipped : 0);
    const notRun = skipped > 0 && !inCi ? `, ${skipped} skipped` : '';
    const [passedBefore, failedBefore] = countsIn(TOTALS);
    const counts = [passedBefore + count.passed, failedBefore + failed] as const;
    if (TOTALS) writeFileSync(TOTALS, counts.join(' '));
    process.stdout.write(`\n${counts[0]} passed, ${counts[1]} failed${notRun}\n`);
  }
}

function countsIn(file: string | undefined): readonly [passed: number, failed: number] {
  const text = file && existsSync(file) ? readFileSync(file, 'utf8') : '';
  const [passed = 0, failed = 0] = text.split(' ').map(Number);
  return [passed, failed];
}

function inShort(error: unknown): string {
  const text = error instanceof Object && 'message' in error ? String(error.message) : String(error);
  return text.replaceAll('\n', ' ').slice(0, SHORT);
}
