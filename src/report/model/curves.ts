import type { Point, Report, Row, Source } from './report.ts';

/** A row with what it belongs to. */
export interface Placed {
  readonly source: Source;
  readonly point: Point;
  readonly row: Row;
  /** What tells it from the other rows of its source: `batch=2 c=8`. */
  readonly label: string;
}

/** Rows that differ in nothing but the load. */
export interface Curve {
  readonly label: string;
  readonly source: Source;
  /** By rising load. */
  readonly rows: readonly Placed[];
}

/** The load on the x axis: the concurrency, or the rate of requests where only that differs. */
export type LoadAxis = 'concurrency' | 'requestRate';

/** The load of a curve's row; rows without one are in no curve. */
export const loadAt = ({ row }: Placed, axis: LoadAxis): number => row[axis] ?? 0;

/** What charts call each source: its name where all names differ, else its id. A single source needs none. */
export function sourceNames(sources: readonly Source[]): ReadonlyMap<Source, string> {
  const differ = new Set(sources.map(({ name }) => name)).size === sources.length;
  return new Map(sources.map((source) => [source, differ ? source.name : source.id]));
}

/** What a chart of several sources calls a row. */
export function rowNamer(sources: readonly Source[]): (placed: Placed) => string {
  const names = sourceNames(sources);
  return ({ source, label }) => (sources.length > 1 ? `${names.get(source)}: ${label}` : label);
}

/** All rows of a report, in the order of sources and points. */
export const rowsOf = (report: Pick<Report, 'sources'>): Placed[] =>
  report.sources.flatMap((source) =>
    source.points.flatMap((point) =>
      point.rows.map((row) => ({ source, point, row, label: labelOf(source, point, row) })),
    ),
  );

/** The load of a row for people: `c=8`, `c=8 at 4 req/s`. */
export function loadOf({ concurrency, requestRate }: Row): string {
  const rate = requestRate === null ? '' : `${requestRate} req/s`;
  if (concurrency === null) return rate === '' ? 'all at once' : rate;
  return rate === '' ? `c=${concurrency}` : `c=${concurrency} at ${rate}`;
}

function labelOf(source: Source, point: Point, row: Row): string {
  const params = paramsText(paramsBesideLoad(source, point));
  return [params || (source.points.length > 1 ? point.name : ''), loadOf(row)].filter(Boolean).join(' ');
}

/** `batch=2, isl=128` */
export const paramsText = (params: Readonly<Record<string, unknown>>): string =>
  Object.entries(params)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');

/** Parameters of a point without those that are the concurrency itself in each point of the sweep. */
export function paramsBesideLoad(source: Source, point: Point): Record<string, unknown> {
  const isLoad = (key: string): boolean => {
    const withRows = source.points.filter(({ rows }) => rows.length > 0);
    return (
      withRows.length > 0 &&
      withRows.every(({ params, rows }) =>
        rows.every(({ concurrency }) => String(params?.[key]) === String(concurrency)),
      )
    );
  };
  return Object.fromEntries(Object.entries(point.params ?? {}).filter(([key]) => !isLoad(key)));
}

export function loadAxis(rows: readonly Placed[]): LoadAxis {
  const rates = new Set(rows.map(({ row }) => row.requestRate));
  const concurrencies = new Set(rows.map(({ row }) => row.concurrency));
  return rates.size > 1 && !rates.has(null) && concurrencies.size <= 1 ? 'requestRate' : 'concurrency';
}

/** The rows as curves over the load. Rows without a load are left out. */
export function curvesOf(report: Pick<Report, 'sources'>, axis: LoadAxis): Curve[] {
  const groups = new Map<string, { source: Source; label: string; rows: Placed[] }>();
  const several = report.sources.length > 1;
  const names = sourceNames(report.sources);
  for (const placed of rowsOf(report)) {
    const { source, point, row } = placed;
    if (row[axis] === null) continue;
    const params = paramsText(paramsBesideLoad(source, point));
    const key = JSON.stringify([source.id, params]);
    const name = several ? (names.get(source) ?? '') : '';
    const label = [name, params].filter(Boolean).join(': ') || source.name;
    const group = groups.get(key) ?? { source, label, rows: [] };
    group.rows.push(placed);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ rows, ...group }) => ({
    ...group,
    rows: rows.sort((a, b) => (a.row[axis] ?? 0) - (b.row[axis] ?? 0)),
  }));
}
