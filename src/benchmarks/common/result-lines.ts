import type { AccuracyResult } from '../../messages/job-directory/accuracy-result.ts';
import type { PointResult } from '../../messages/job-directory/result.ts';
import type { ServingResult } from '../../messages/job-directory/serving-result.ts';

/** A point at one concurrency; a point without figures has one line with its state. */
export interface ResultLine extends Partial<Omit<ServingResult, 'errors'>> {
  readonly job: string;
  readonly ordinal: number;
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  /** `unfinished`: the point runs, or its coordinator was killed. */
  readonly status: PointResult['status'] | 'unfinished';
  readonly attempt: number;
  readonly benchmark: string | null;
  /** null: there are no figures to judge, because the benchmark left none or the point did not get so far. */
  readonly valid: boolean | null;
  /** The benchmark did not finish: these figures are from before its end. */
  readonly partial?: boolean;
  /** What evaluations found, by their tasks. */
  readonly accuracy?: Readonly<Record<string, Omit<AccuracyResult, 'task'>>>;
  /** Why it failed, in a sentence. */
  readonly cause: string | null;
}

/** The lines of a point in results.jsonl. */
export function resultLines(
  result: Pick<PointResult, 'job' | 'ordinal' | 'name' | 'params' | 'attempt' | 'benchmark' | 'cause'> &
    Pick<ResultLine, 'status'>,
): ResultLine[] {
  const { job, ordinal, name, params, status, attempt = 1, benchmark, cause } = result;
  const type = benchmark?.type ?? null;
  const common = {
    job,
    ordinal,
    name,
    params,
    status,
    attempt,
    benchmark: type,
    valid: benchmark?.valid ?? null,
    ...(benchmark?.partial ? { partial: true } : {}),
    ...(benchmark?.accuracy?.length
      ? { accuracy: Object.fromEntries(benchmark.accuracy.map(({ task, ...rest }) => [task, rest])) }
      : {}),
    cause: cause?.summary ?? null,
  };
  const serving = benchmark?.serving ?? [];
  if (serving.length === 0) return [common];
  return serving.map(({ errors: _, partial: brokenOff = false, ...figures }) => ({
    ...common,
    ...figures,
    ...(brokenOff ? { partial: true } : {}),
  }));
}

/** Comma-separated values (RFC 4180) with a column for each parameter and figure of any line. */
export function toCsv(lines: readonly object[]): string {
  const rows = lines.map((line) => new Map(flatten(line, '')));
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  const table = [columns, ...rows.map((row) => columns.map((column) => row.get(column) ?? ''))];
  return table.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

/** `ttftMs.mean`; a list stays one value. */
function flatten(value: unknown, path: string): [string, string][] {
  if (value === null || value === undefined) return path === '' ? [] : [[path, '']];
  if (typeof value !== 'object') return [[path, String(value)]];
  if (Array.isArray(value)) return [[path, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, below]) =>
    flatten(below, path === '' ? key : `${path}.${key}`),
  );
}

const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
