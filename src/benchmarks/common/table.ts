import Table from 'cli-table3';
import type { ServingResult } from '../../messages/job-directory/serving-result.ts';

const ms = (value: number): string =>
  value >= 1_000 ? value.toFixed(0) : value.toFixed(value >= 100 ? 1 : 2);
const rate = (value: number): string => (value >= 1_000 ? value.toFixed(0) : value.toFixed(2));

/** Widest columns of the upright form, with borders: `in/prefill GPU` and figures of seven digits. */
const UPRIGHT = { label: 17, figure: 11 };

/** Of percentiles that too few values decide. */
const TOO_FEW = '*';

/**
 * The results of a serving benchmark for people: a row for each concurrency, or, where that is wider than
 * `columns` characters, a column for each. Times in ms.
 */
export function servingTable(results: readonly ServingResult[], columns = Number.POSITIVE_INFINITY): string {
  if (results.length === 0) return '';
  // A figure that no result has gets no column.
  const all = results.map(figuresOf);
  const rows = all.map((row) => row.filter((_, at) => all.some((other) => other[at]?.[1] !== undefined)));
  const head = rows[0] ?? [];
  const lying = tableOf(
    head.map(([label]) => label),
    rows.map((row) => row.map(([, figure]) => figure ?? '')),
  );
  const isShown = (name: string): boolean => head.some(([label]) => label === name);
  const hasFew = rows.some((row) => row.some(([, figure]) => figure?.endsWith(TOO_FEW)));
  const legend = [
    'TTFT, TPOT, ITL, E2EL: mean and 99th percentile, ms',
    ...(isShown('tok/s/user') ? ['tok/s/user: output tokens, median of requests'] : []),
    ...(isShown('tok/s/GPU') ? ['tok/s/GPU: output tokens, over the GPUs of all workers'] : []),
    ...(isShown('goodput') ? ['goodput: requests/s within all limits'] : []),
    ...(hasFew ? [`${TOO_FEW}: fewer than 100 values, so the slowest few decide it`] : []),
  ].join('\n');
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

/** In place of a time that no request has. */
const NONE = '–';

type Figure = readonly [label: string, figure: string | undefined];

const given = (value: number | null | undefined, text: (value: number) => string): string | undefined =>
  value == null ? undefined : text(value);

/** Labels and figures of one concurrency in display order; undefined: it has none. */
function figuresOf(one: ServingResult): Figure[] {
  const { perGpu, goodput, outputPerUser } = one;
  const times = { TTFT: one.ttftMs, TPOT: one.tpotMs, ITL: one.itlMs, E2EL: one.e2elMs };
  return [
    ['concurrency', String(one.concurrency)],
    ['measured by', one.measuredBy],
    ['asked req/s', given(one.requestRate, rate)],
    ['requests', String(one.completed)],
    ['failed', String(one.failed)],
    ['req/s', rate(one.requestThroughput)],
    ['in tok/s', rate(one.inputThroughput)],
    ['out tok/s', rate(one.outputThroughput)],
    ['tok/s/user', given(outputPerUser?.count === 0 ? null : outputPerUser?.median, rate)],
    ['tok/s/GPU', given(perGpu?.outputPerGpu, rate)],
    ['in/prefill GPU', given(perGpu?.inputPerPrefillGpu, rate)],
    ['out/decode GPU', given(perGpu?.outputPerDecodeGpu, rate)],
    ['goodput', given(goodput?.requestThroughput, rate)],
    ...Object.entries(times).flatMap(([name, figure]): Figure[] => [
      [name, figure.count === 0 ? NONE : ms(figure.mean)],
      [
        'p99',
        figure.count === 0 ? NONE : `${ms(figure.p99)}${figure.tooFew?.includes('p99') ? TOO_FEW : ''}`,
      ],
    ]),
  ];
}

/** A table of cells, the numbers on the right. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: [...head],
    // The caller decides about colours.
    style: { head: [], border: [], compact: true },
    colAligns: head.map(() => 'right' as const),
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}
