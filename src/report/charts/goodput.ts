import type { SeriesOption } from 'echarts';
import { curvesOf, loadAxis, rowsOf } from '../model/curves.ts';
import { goodputOf, type Slo } from '../model/goodput.ts';
import type { Report } from '../model/report.ts';
import { type Chart, figure, NARROW } from './chart.ts';
import { axis, base, hollow } from './common.ts';
import { colourOf, symbolOf } from './theme.ts';

/** `TTFT ≤ 500 ms, TPOT ≤ 20 ms` */
export function sloText({ ttftMs, tpotMs, e2elMs }: Slo): string {
  const limits = { TTFT: ttftMs, TPOT: tpotMs, E2E: e2elMs };
  const parts = Object.entries(limits).flatMap(([name, limit]) =>
    limit === undefined ? [] : [`${name} ≤ ${figure(limit)} ms`],
  );
  return parts.length === 0 ? 'no limit' : parts.join(', ');
}

/** Requests per second within limits, for rows with per-request records; undefined without any. */
export function goodputChart(report: Report, slo: Slo): Chart | undefined {
  const loadKey = loadAxis(rowsOf(report));
  const curves = curvesOf(report, loadKey)
    .map((curve) => ({ ...curve, rows: curve.rows.filter(({ row }) => row.requestsFile) }))
    .filter(({ rows }) => rows.length > 0);
  if (curves.length === 0) return undefined;
  const loads = [...new Set(curves.flatMap(({ rows }) => rows.map(({ row }) => row[loadKey] ?? 0)))].sort(
    (a, b) => a - b,
  );
  const loadName = loadKey === 'concurrency' ? 'concurrency' : 'requests per second';
  const all = curves.flatMap(({ label, rows }) =>
    rows.flatMap((placed) => {
      const good = goodputOf(placed.row, slo);
      return good ? [{ curve: label, placed, good }] : [];
    }),
  );
  return {
    id: 'goodput',
    title: 'Goodput',
    about: `Requests per second that keep all limits (${sloText(slo)}), from per-request records. Hollow points are not valid.`,
    height: 320,
    table: {
      head: ['curve', loadName, 'goodput req/s', 'goodput output tok/s', 'share of requests', 'valid'],
      rows: all.map(({ curve, placed: { row }, good }) => [
        curve,
        figure(row[loadKey]),
        figure(good.requestThroughput),
        figure(good.outputThroughput),
        `${(good.share * 100).toFixed(1)} %`,
        row.valid ? 'yes' : 'no',
      ]),
    },
    option(theme, width) {
      return {
        ...base(
          theme,
          width,
          curves.map(({ label }) => label),
        ),
        xAxis: axis(theme, loadName, { type: 'category', data: loads.map(String), nameGap: 30 }),
        yAxis: axis(theme, 'requests/s within limits', { nameGap: width < NARROW ? 40 : 52, min: 0 }),
        series: curves.map(
          ({ label }, at): SeriesOption => ({
            type: 'line',
            name: label,
            color: colourOf(theme, at),
            symbol: symbolOf(at),
            symbolSize: 9,
            data: all
              .filter(({ curve }) => curve === label)
              .map(({ placed: { row, label: name }, good }) => ({
                value: [loads.indexOf(row[loadKey] ?? 0), good.requestThroughput],
                ...hollow(row, theme, [
                  name,
                  `${figure(good.requestThroughput)} req/s, ${(good.share * 100).toFixed(1)} % of requests`,
                ]),
              })),
          }),
        ),
      };
    },
  };
}
