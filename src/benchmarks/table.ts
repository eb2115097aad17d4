import Table from 'cli-table3';
import type { ServingResult } from '../messages/result.ts';

const ms = (value: number): string =>
  value >= 1_000 ? value.toFixed(0) : value.toFixed(value >= 100 ? 1 : 2);
const rate = (value: number): string => (value >= 1_000 ? value.toFixed(0) : value.toFixed(2));

/**
 * The results of a serving benchmark for people: one row for each concurrency. Times in ms.
 * @param gpus of the deployment; given, the table says output tokens per second and GPU as well
 */
export function servingTable(results: readonly ServingResult[], gpus?: number): string {
  const perGpu = gpus !== undefined && gpus > 0;
  const table = new Table({
    head: [
      'concurrency',
      'requests',
      'failed',
      'req/s',
      'in tok/s',
      'out tok/s',
      ...(perGpu ? ['tok/s/GPU'] : []),
      'TTFT',
      'p99',
      'TPOT',
      'p99',
      'ITL',
      'p99',
      'E2EL',
      'p99',
    ],
    // Colours are for who prints it to decide.
    style: { head: [], border: [], compact: true },
    colAligns: Array.from({ length: perGpu ? 15 : 14 }, () => 'right' as const),
  });
  for (const one of results)
    table.push([
      one.concurrency,
      one.completed,
      one.failed,
      rate(one.requestThroughput),
      rate(one.inputThroughput),
      rate(one.outputThroughput),
      ...(perGpu ? [rate(one.outputThroughput / gpus)] : []),
      ...[one.ttftMs, one.tpotMs, one.itlMs, one.e2elMs].flatMap((figure) => [
        ms(figure.mean),
        ms(figure.p99),
      ]),
    ]);
  return `${table.toString()}\nTTFT, TPOT, ITL, E2EL: mean and 99th percentile, ms`;
}
