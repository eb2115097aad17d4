import { rowsOf } from '../model/curves.ts';
import type { Report } from '../model/report.ts';

/** A line for each result, for CSV: what it belongs to, and its figures. Points without results have a line, too. */
export const linesOf = (report: Report): object[] => [
  ...rowsOf(report).map(({ source, point, row }) => {
    const { id: _, result: __, requestsFile: ___, reasons, warnings, ...figures } = row;
    return {
      ...{ job: source.id, tool: source.tool, name: point.name, params: point.params, status: point.status },
      ...figures,
      reasons: reasons.join('; '),
      warnings: warnings.join('; '),
    };
  }),
  ...report.sources.flatMap((source) =>
    source.points
      .filter(({ rows }) => rows.length === 0)
      .map(({ ordinal, name, params, status, cause }) => ({
        ...{ job: source.id, tool: source.tool, name, params, status, ordinal },
        reasons: cause?.summary ?? '',
      })),
  ),
];

/** The report without per-request values, for `--json`. */
export const plainReport = (report: Report): Report => ({
  ...report,
  sources: report.sources.map((source) => ({
    ...source,
    points: source.points.map((point) => ({
      ...point,
      rows: point.rows.map(({ requestsFile: _, ...row }) => row),
    })),
  })),
});
