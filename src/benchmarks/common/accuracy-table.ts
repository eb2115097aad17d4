import { ACCURACY_HEAD, accuracyCells } from '../../messages/job-directory/accuracy-cells.ts';
import type { AccuracyResult } from '../../messages/job-directory/accuracy-result.ts';
import { tableOf } from './table.ts';

/** Evaluations for people: a row for each task. A figure that none has gets no column. */
export function accuracyTable(all: readonly AccuracyResult[]): string {
  const rows = all.map(accuracyCells);
  const shown = ACCURACY_HEAD.map((_, at) => rows.some((row) => row[at] !== ''));
  const kept = (cells: readonly string[]): string[] => cells.filter((_, at) => shown[at]);
  return `${tableOf(kept(ACCURACY_HEAD), rows.map(kept))}\nscores are shares of 1; stderr: of one repeat, over its questions; spread: standard deviation of the repeats`;
}
