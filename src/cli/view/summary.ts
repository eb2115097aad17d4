import { servingTable } from '../../benchmarks/table.ts';
import type { Cause } from '../../messages/result.ts';
import type { JobView } from './model.ts';

const describeEnd = ({ exitCode, signal }: Cause): string =>
  signal ? `ended by ${signal}` : exitCode == null ? '' : `exit code ${exitCode}`;

/** What is said when a job is over: results of each point, and for a failure its cause with the end of the log. */
export function summaryOf(view: JobView, jobDir: string): string {
  const lines: string[] = [''];
  for (const result of view.results) {
    const { name, status, benchmark } = result;
    lines.push(`point ${result.ordinal} ${name}: ${status}`);
    if (benchmark && benchmark.serving.length > 0) lines.push(servingTable(benchmark.serving));
  }
  const { cause } = view;
  if (cause) {
    lines.push('', `failed: ${cause.summary}`);
    const where = [cause.node, cause.process, describeEnd(cause)].filter((part) => part);
    if (where.length > 0) lines.push(`  ${where.join(', ')}`);
    if (cause.logFile) lines.push(`  log: ${cause.logFile}`);
    for (const line of cause.logTail ?? []) lines.push(`  | ${line}`);
  }
  lines.push('', `results: ${jobDir}`);
  return lines.join('\n');
}
