import type { SeriesOption } from 'echarts';
import {
  curvesOf,
  type LoadAxis,
  loadAt,
  loadAxis,
  type Placed,
  rowsOf,
  sourceNames,
} from '../model/curves.ts';
import type { Report, Spread } from '../model/report.ts';
import { bandSeries, whiskers } from './bands.ts';
import { type Chart, figure, NARROW } from './chart.ts';
import { axis, base, short as cut, hollow, scaleOf } from './common.ts';
import { colourOf, symbolOf } from './theme.ts';

/** The latencies of a row, by what charts call them. */
export const LATENCIES = [
  { key: 'ttftMs', short: 'TTFT', long: 'time to first token' },
  { key: 'tpotMs', short: 'TPOT', long: 'time per output token after the first' },
  { key: 'itlMs', short: 'ITL', long: 'gap between chunks of output' },
  { key: 'e2elMs', short: 'E2E', long: 'whole request' },
] as const;
type Latency = (typeof LATENCIES)[number];

/** More curves than this are drawn without bands. */
const MOST_BANDS = 3;

/** Rows along one axis. */
interface Along {
  readonly axisName: string;
  /** Texts of the axis. */
  readonly places: readonly string[];
  /** Rows with their place on the axis. */
  readonly curves: readonly { readonly label: string; readonly rows: readonly (Placed & { at: number })[] }[];
  /** Lines between rows mean something. */
  readonly isLoad: boolean;
}

/** A chart for each latency, against the load, or beside each other where all rows have the same load. */
export function latencyCharts(report: Report): Chart[] {
  const loadKey = loadAxis(rowsOf(report));
  const loads = new Set(rowsOf(report).map(({ row }) => row[loadKey]));
  const along = loads.size > 1 ? alongLoad(report, loadKey) : alongRows(report);
  return LATENCIES.flatMap((latency) => latencyChart(along, latency) ?? []);
}

function alongLoad(report: Report, loadKey: LoadAxis): Along {
  const curves = curvesOf(report, loadKey);
  const loads = [...new Set(curves.flatMap(({ rows }) => rows.map((row) => loadAt(row, loadKey))))];
  loads.sort((a, b) => a - b);
  return {
    axisName: loadKey === 'concurrency' ? 'concurrency' : 'requests per second',
    places: loads.map(String),
    curves: curves.map(({ label, rows }) => ({
      label,
      rows: rows.map((placed) => ({ ...placed, at: loads.indexOf(loadAt(placed, loadKey)) })),
    })),
    isLoad: true,
  };
}

function alongRows(report: Report): Along {
  const rows = rowsOf(report);
  const names = sourceNames(report.sources);
  const places = [...new Set(rows.map(({ label }) => label))];
  return {
    axisName: 'point',
    places,
    curves: report.sources.map((source) => ({
      label: names.get(source) ?? source.id,
      rows: rows
        .filter((placed) => placed.source === source)
        .map((placed) => ({ ...placed, at: places.indexOf(placed.label) })),
    })),
    isLoad: false,
  };
}

function latencyChart(along: Along, { key, short, long }: Latency): Chart | undefined {
  const { axisName, places, isLoad } = along;
  const curves = along.curves
    .map(({ label, rows }) => ({ label, rows: rows.filter(({ row }) => row[key].median !== undefined) }))
    .filter(({ rows }) => rows.length > 0);
  if (curves.length === 0) return undefined;
  return {
    id: `latency-${short.toLowerCase()}`,
    title: isLoad ? `${short} against ${axisName}` : `${short} of each point`,
    about: `${short}: ${long}, in ms. ${
      isLoad
        ? 'The line is the median, the band reaches from the lowest stated percentile to the 99th, the dashed line is the 99th.'
        : 'The mark is the median, the line reaches from the lowest stated percentile to the 99th.'
    } Hollow points are not valid.`,
    height: 320,
    table: {
      head: ['curve', axisName, 'p1', 'p10', 'median', 'mean', 'p90', 'p95', 'p99', 'valid'],
      rows: curves.flatMap(({ label, rows }) =>
        rows.map(({ row, at }) => [
          label,
          places[at] ?? '',
          ...(['p1', 'p10', 'median', 'mean', 'p90', 'p95', 'p99'] as const).map((name) =>
            figure(row[key][name]),
          ),
          row.valid ? 'yes' : 'no',
        ]),
      ),
    },
    option(theme, width) {
      const spreads = curves.flatMap(({ rows }) => rows.map(({ row }) => row[key]));
      const ends = spreads.flatMap((spread) => [lowOf(spread), spread.p99 ?? spread.median ?? 0]);
      return {
        ...base(
          theme,
          width,
          curves.map(({ label }) => label),
        ),
        xAxis: axis(theme, axisName, {
          type: 'category',
          data: places.map((place) => cut(place, isLoad ? 12 : 26)),
          nameGap: 30,
        }),
        yAxis: axis(theme, 'ms', { type: scaleOf(ends), nameGap: width < NARROW ? 40 : 52 }),
        series: curves.flatMap(({ label, rows }, at): SeriesOption[] => {
          const colour = colourOf(theme, at);
          const line = (name: 'median' | 'p99'): SeriesOption => ({
            type: 'line',
            name: label,
            color: colour,
            symbol: name === 'median' ? symbolOf(at) : 'none',
            symbolSize: 9,
            lineStyle: {
              color: colour,
              width: !isLoad ? 0 : name === 'median' ? 2 : 1,
              type: name === 'median' ? 'solid' : 'dashed',
            },
            data: rows.flatMap(({ row, label: own, at: x }) => {
              const value = row[key][name];
              if (value === undefined) return [];
              const { median, p99 } = row[key];
              const tip = [own, `${short} median ${figure(median)} ms, p99 ${figure(p99)} ms`];
              return [{ value: [x, value], ...hollow(row, theme, tip) }];
            }),
          });
          const band = rows.flatMap(({ row, at: x }): [number, number, number][] => {
            const { p99 } = row[key];
            return p99 === undefined ? [] : [[x, lowOf(row[key]), p99]];
          });
          const range = isLoad
            ? curves.length <= MOST_BANDS && band.length > 1
              ? [bandSeries(label, colour, band)]
              : []
            : [whiskers(label, colour, band)];
          return [...range, ...(isLoad ? [line('p99')] : []), line('median')];
        }),
      };
    },
  };
}

/** The lowest percentile that a result states. */
const lowOf = ({ p1, p5, p10, p25, median = 0 }: Spread): number => p1 ?? p5 ?? p10 ?? p25 ?? median;
