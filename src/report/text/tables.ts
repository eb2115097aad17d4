import { ACCURACY_HEAD, accuracyCells } from '../../messages/job-directory/accuracy-cells.ts';
import { figure, type Table } from '../charts/chart.ts';
import { loadOf, paramsText } from '../model/curves.ts';
import type { Point, Report, Row, Source } from '../model/report.ts';

/** A value of a recipe in a cell. */
const valueText = (value: unknown): string =>
  value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);

/** A point's end for people, with what is wrong with it. */
export function verdictOf({ status, valid, reason, cause }: Point): string {
  const why = cause?.summary ?? reason;
  if (status === 'done' && valid === true) return 'done, valid';
  if (status === 'done' && valid === false) return `done, not valid: ${why ?? ''}`;
  return why ? `${status}: ${why}` : status;
}

/** The points of a source: what is different in each, and how it ended. */
export function pointsTable({ points, varied }: Source): Table {
  return {
    head: ['point', 'name', 'parameters', 'how it ended', 'attempt', 'minutes', ...varied],
    rows: points.map((point) => [
      String(point.ordinal),
      point.name,
      paramsText(point.params ?? {}),
      verdictOf(point),
      String(point.attempt),
      minutesOf(point),
      ...varied.map((path) => valueText(point.own[path])),
    ]),
  };
}

function minutesOf({ startedAt, finishedAt }: Point): string {
  if (startedAt === null || finishedAt === null) return '–';
  return figure((Date.parse(finishedAt) - Date.parse(startedAt)) / 60_000);
}

/** The figures of every row of a report. */
export function figuresTable({ sources }: Pick<Report, 'sources'>): Table {
  const several = sources.length > 1;
  const head = [
    ...(several ? ['job'] : []),
    ...['point', 'parameters', 'load', 'valid', 'requests', 'failed', 'req/s', 'output tok/s'],
    ...['output tok/s/GPU', 'tok/s/user', 'TTFT', 'TTFT p99', 'TPOT', 'TPOT p99', 'ITL', 'E2E', 'E2E p99'],
  ];
  return {
    head,
    rows: sources.flatMap((source) =>
      source.points.flatMap((point) =>
        point.rows.map((row) => [
          ...(several ? [source.id] : []),
          String(point.ordinal),
          paramsText(point.params ?? {}) || point.name,
          loadOf(row),
          row.valid ? 'yes' : 'no',
          ...figuresOf(row),
        ]),
      ),
    ),
    note: 'Latencies in ms: medians and 99th percentiles. Rates per second.',
  };
}

/** What evaluations found in each point of a report; undefined where none ran. */
export function accuracyTable({ sources }: Pick<Report, 'sources'>): Table | undefined {
  const several = sources.length > 1;
  const rows = sources.flatMap((source) =>
    source.points.flatMap((point) =>
      (point.accuracy ?? []).map((one) => [
        ...(several ? [source.id] : []),
        String(point.ordinal),
        paramsText(point.params ?? {}) || point.name,
        point.valid ? 'yes' : 'no',
        ...accuracyCells(one),
      ]),
    ),
  );
  if (rows.length === 0) return undefined;
  return {
    head: [...(several ? ['job'] : []), 'point', 'parameters', 'valid', ...ACCURACY_HEAD],
    rows,
    note: 'Scores are shares of 1. stderr: standard error of one repeat over its questions. spread: standard deviation of the repeats.',
  };
}

const figuresOf = (row: Row): string[] =>
  [
    row.requests,
    row.failed,
    row.requestThroughput,
    row.outputThroughput,
    row.outputPerGpu,
    row.outputPerUser,
    ...[row.ttftMs.median, row.ttftMs.p99, row.tpotMs.median, row.tpotMs.p99],
    ...[row.itlMs.median, row.e2elMs.median, row.e2elMs.p99],
  ].map(figure);
