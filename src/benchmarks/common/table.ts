import Table from 'cli-table3';
import type { ServingResult } from '../../messages/job-directory/result.ts';

const ms = (value: number): string =>
  value >= 1_000 ? value.toFixed(0) : value.toFixed(value >= 100 ? 1 : 2);
const rate = (value: number): string => (value >= 1_000 ? value.toFixed(0) : value.toFixed(2));

/** Widest columns of the upright form, with borders: `concurrency` and figures of seven digits. */
const UPRIGHT = { label: 14, figure: 11 };

/**
 * The results of a serving benchmark for people: a row for each concurrency, or, where that is wider than
 * `columns` characters, a column for each. Times in ms.
 * @param gpus of the deployment; adds output tokens per second and GPU
 */
export function servingTable(
  results: readonly ServingResult[],
  gpus?: number,
  columns = Number.POSITIVE_INFINITY,
): string {
  const rows = results.map((result) => figuresOf(result, gpus));
  const [head] = rows;
  if (!head) return '';
  const lying = tableOf(
    head.map(([label]) => label),
    rows.map((row) => row.map(([, figure]) => figure)),
  );
  const legend = 'TTFT, TPOT, ITL, E2EL: mean and 99th percentile, ms';
  if (lying.indexOf('\n') <= columns) return `${lying}\n${legend}`;
  const beside = Math.max(1, Math.floor((columns - UPRIGHT.label) / UPRIGHT.figure));
  const upright: string[] = [];
  for (let first = 0; first < rows.length; first += beside) {
    const some = rows.slice(first, first + beside);
    const lines = head.map(([label], at) => [label, ...some.map((row) => row[at]?.[1] ?? '')]);
    upright.push(tableOf(lines[0] ?? [], lines.slice(1)));
  }
  return [...upright, legend].join('\n');
}

/** Labels and figures of one concurrency in display order. */
function figuresOf(one: ServingResult, gpus: number | undefined): [label: string, figure: string][] {
  const times = { TTFT: one.ttftMs, TPOT: one.tpotMs, ITL: one.itlMs, E2EL: one.e2elMs };
  return [
    ['concurrency', String(one.concurrency)],
    ['requests', String(one.completed)],
    ['failed', String(one.failed)],
    ['req/s', rate(one.requestThroughput)],
    ['in tok/s', rate(one.inputThroughput)],
    ['out tok/s', rate(one.outputThroughput)],
    ...(gpus !== undefined && gpus > 0
      ? [['tok/s/GPU', rate(one.outputThroughput / gpus)] as [string, string]]
      : []),
    ...Object.entries(times).flatMap(([name, figure]): [string, string][] => [
      [name, ms(figure.mean)],
      ['p99', ms(figure.p99)],
    ]),
  ];
}

function tableOf(head: readonly string[], rows: readonly string[][]): string {
  const table = new Table({
    head: [...head],
    // The caller decides about colours.
    style: { head: [], border: [], compact: true },
    colAligns: head.map(() => 'right' as const),
  });
  table.push(...rows);
  return table.toString();
}
