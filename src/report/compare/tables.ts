import type { Difference } from '../../recipe/values/recipe-diff.ts';
import { figure, type Table } from '../charts/chart.ts';
import type { Comparison, Matched } from '../model/report.ts';
import { changeText } from './compare.ts';

/** Figures of a comparison: a row for each pair of results and figure. */
export const deltaTable = ({ before, after, rows }: Comparison): Table => ({
  head: ['load', 'figure', before, after, 'change', 'valid', 'not the same'],
  rows: rows.flatMap(({ label, deltas, valid, notes, before: inBefore, after: inAfter }) =>
    deltas.map((delta) => [
      label,
      delta.figure,
      inBefore === null ? 'no such result' : figure(delta.before),
      inAfter === null ? 'no such result' : figure(delta.after),
      changeText(delta),
      valid ? 'yes' : 'no',
      notes.join('; '),
    ]),
  ),
});

/** The main figures alone, a row for each pair: for a terminal. */
export const shortTable = ({ rows }: Comparison): Table => {
  const shown = ['output tok/s/GPU', 'tok/s/user', 'output tok/s', 'TTFT p99', 'TPOT p99', 'E2E p99'];
  return {
    head: ['load', ...shown, ''],
    rows: rows.map(({ label, before, after, valid, notes, deltas }) => [
      label,
      ...shown.map((name) => {
        const delta = deltas.find((one) => one.figure === name);
        if (!delta) return '–';
        if (before === null || after === null) return figure(delta.before ?? delta.after);
        return `${figure(delta.before)} → ${figure(delta.after)}\n${changeText(delta)}`;
      }),
      remarkOf({ before, after, valid, notes }),
    ]),
  };
};

/** What a reader has to know of a pair. */
export function remarkOf({ before, after, valid, notes }: Omit<Matched, 'label' | 'deltas'>): string {
  if (before === null) return 'only in the second';
  if (after === null) return 'only in the first';
  return [...(valid ? [] : ['not valid']), ...notes].join('; ');
}

const text = (value: unknown): string =>
  value === undefined ? '(not there)' : typeof value === 'string' ? value : JSON.stringify(value);

/** Differences path by path. */
export const differenceTable = (
  { before, after }: Comparison,
  differences: readonly Difference[],
): Table => ({
  head: ['path', before, after],
  rows: differences.map((one) => [one.path, text(one.before), text(one.after)]),
});
