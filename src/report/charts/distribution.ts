import type { SeriesOption } from 'echarts';
import { rowNamer, rowsOf } from '../model/curves.ts';
import type { Report, Requests, Row, Spread } from '../model/report.ts';
import { type Chart, figure, NARROW } from './chart.ts';
import { axis, base, scaleOf } from './common.ts';
import { LATENCIES } from './latency.ts';
import { colourOf } from './theme.ts';

type Place = readonly [percentile: number, ms: number];

/** More rows than this are unreadable in one chart; the table has them all. */
const MOST_LINES = 12;

const PERCENTILES = [
  ...([
    ['min', 0],
    ['p1', 1],
    ['p5', 5],
    ['p10', 10],
    ['p25', 25],
    ['median', 50],
    ['p75', 75],
  ] as const),
  ...([
    ['p90', 90],
    ['p95', 95],
    ['p99', 99],
    ['p999', 99.9],
    ['max', 100],
  ] as const),
] as const;

/** A chart for each latency with a line for each row: how long the fastest to the slowest request took. */
export function distributionCharts(report: Report): Chart[] {
  const rows = rowsOf(report);
  return LATENCIES.flatMap(({ key, short, long }) => {
    const lines = rows.flatMap((placed) => {
      const places = placesOf(placed.row, key);
      return places.length < 2 ? [] : [{ placed, places }];
    });
    if (lines.length === 0) return [];
    const shown = lines.slice(0, MOST_LINES);
    const nameOf = rowNamer(report.sources);
    const fromRecords = shown.some(({ placed }) => valuesOf(placed.row.requestsFile, key) !== undefined);
    const left = lines.length - shown.length;
    const chart: Chart = {
      id: `distribution-${short.toLowerCase()}`,
      title: `Distribution of ${short}`,
      about: `The share of ${short === 'ITL' ? 'gaps' : 'requests'} (x) that took at most so long (y). ${short}: ${long}. ${
        fromRecords
          ? 'Made from per-request records.'
          : 'Made from the percentiles of each result, which straight lines join.'
      }${left > 0 ? ` ${left} more rows are in the table.` : ''} Dotted lines are not valid.`,
      height: 320,
      table: {
        head: ['row', ...PERCENTILES.map(([, percentile]) => headOf(percentile)), 'valid'],
        rows: lines.map(({ placed }) => [
          nameOf(placed),
          ...PERCENTILES.map(([name]) => figure(placed.row[key][name])),
          placed.row.valid ? 'yes' : 'no',
        ]),
      },
      option(theme, width) {
        const names = shown.map(({ placed }) => nameOf(placed));
        return {
          ...base(theme, width, names),
          xAxis: axis(theme, 'percentile', { min: 0, max: 100, nameGap: 30 }),
          yAxis: axis(theme, 'ms', {
            type: scaleOf(shown.flatMap(({ places }) => places.map(([, ms]) => ms))),
            nameGap: width < NARROW ? 40 : 52,
          }),
          series: shown.map(({ placed, places }, at): SeriesOption => {
            const colour = colourOf(theme, at);
            const name = nameOf(placed);
            return {
              type: 'line',
              name,
              color: colour,
              symbol: places.length > 20 ? 'none' : 'circle',
              symbolSize: 5,
              lineStyle: { color: colour, width: 2, type: placed.row.valid ? 'solid' : 'dotted' },
              data: places.map(([percentile, ms]) => ({
                value: [percentile, ms],
                tip: [
                  name,
                  `${percentile} % of ${short} within ${figure(ms)} ms`,
                  ...(placed.row.valid ? [] : [`not valid: ${placed.row.reasons.join('; ')}`]),
                ],
              })),
            };
          }),
        };
      },
    };
    return [chart];
  });
}

const headOf = (percentile: number): string =>
  ({ 0: 'min', 50: 'median', 100: 'max' })[percentile] ?? `p${percentile}`;

type Key = (typeof LATENCIES)[number]['key'];

/** Every value that the records have; they have no gaps between chunks. */
function valuesOf(requests: Requests | undefined, key: Key): number[] | undefined {
  if (!requests || key === 'itlMs') return undefined;
  const values: readonly (number | null)[] = requests[key];
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  return known.length > 1 ? known : undefined;
}

function placesOf(row: Row, key: Key): Place[] {
  const values = valuesOf(row.requestsFile, key);
  if (values) {
    return [...Array.from({ length: 100 }, (_, at) => at), 99.5, 99.9, 100].map((percentile) => [
      percentile,
      values[Math.round((percentile / 100) * (values.length - 1))] ?? 0,
    ]);
  }
  const spread: Spread = row[key];
  return PERCENTILES.flatMap(([name, percentile]): Place[] => {
    const ms = spread[name];
    return ms === undefined ? [] : [[percentile, ms]];
  });
}
