import type { SeriesOption } from 'echarts';
import { type Placed, rowNamer, rowsOf, sourceNames } from '../model/curves.ts';
import { frontier } from '../model/frontier.ts';
import type { Report } from '../model/report.ts';
import { type Chart, figure, NARROW } from './chart.ts';
import { axis, base, hollow, short } from './common.ts';
import { colourOf, symbolOf, type Theme } from './theme.ts';

interface Dot extends Placed {
  readonly x: number;
  readonly y: number;
}

/** The rows that have both figures. */
export const dotsOf = (report: Pick<Report, 'sources'>): Dot[] =>
  rowsOf(report).flatMap((placed) => {
    const { outputPerUser: x, outputPerGpu: y } = placed.row;
    return x === null || y === null ? [] : [{ ...placed, x, y }];
  });

/** The valid dots that no other valid one beats, of all sources together. */
export const bestOf = (dots: readonly Dot[]): Dot[] => frontier(dots.filter(({ row }) => row.valid));

const FRONTIER = 'frontier';

/** Throughput of the hardware against what one user sees. */
export function paretoChart(report: Report): Chart | undefined {
  const dots = dotsOf(report);
  if (dots.length === 0) return undefined;
  const best = bestOf(dots);
  const several = report.sources.length > 1;
  const nameOf = rowNamer(report.sources);
  const sourceName = sourceNames(report.sources);
  return {
    id: 'pareto',
    title: 'Throughput against interactivity',
    about:
      'Up and to the right is better. The line joins the points that no other valid point beats in both. Hollow points are not valid and are never on the line.',
    height: 440,
    table: {
      head: ['point', 'tok/s/user', 'output tok/s/GPU', 'GPUs', 'valid', 'frontier'],
      rows: dots.map((dot) => [
        nameOf(dot),
        figure(dot.x),
        figure(dot.y),
        figure(dot.row.gpus?.total),
        dot.row.valid ? 'yes' : `no: ${dot.row.reasons.join('; ')}`,
        best.includes(dot) ? 'yes' : '',
      ]),
      note: howMade(dots),
    },
    option(theme, width) {
      const names = [...sourceName.values()];
      const [low, high] = [Math.min(...dots.map(({ x }) => x)), Math.max(...dots.map(({ x }) => x))];
      const middle = (low + high) / 2;
      const lineOf = (dot: Dot): string[] => [
        nameOf(dot),
        `${figure(dot.x)} tok/s/user`,
        `${figure(dot.y)} output tok/s/GPU`,
      ];
      const series = report.sources.map((source, at): SeriesOption => {
        const colour = colourOf(theme, at);
        return {
          type: 'scatter',
          name: sourceName.get(source) ?? source.id,
          symbol: symbolOf(at),
          symbolSize: 11,
          itemStyle: { color: colour },
          labelLayout: { hideOverlap: true, moveOverlap: 'shiftY' },
          data: dots
            .filter((dot) => dot.source === source)
            .map((dot) => ({
              value: [dot.x, dot.y],
              name: nameOf(dot),
              label: labelOf(dot, theme, width, dot.x > middle),
              ...hollow(dot.row, theme, lineOf(dot)),
            })),
        };
      });
      return {
        ...base(theme, width, several ? [...names, FRONTIER] : []),
        xAxis: axis(theme, 'output tokens/s per user', { nameGap: 30, ...rangeOf(dots.map(({ x }) => x)) }),
        yAxis: axis(theme, 'output tokens/s per GPU', {
          nameGap: width < NARROW ? 40 : 52,
          ...rangeOf(dots.map(({ y }) => y)),
        }),
        series: [
          {
            type: 'line',
            name: FRONTIER,
            symbol: 'none',
            silent: true,
            lineStyle: { color: theme.muted, width: 2, type: 'dashed' },
            itemStyle: { color: theme.muted },
            data: best.map(({ x, y }) => [x, y]),
          },
          ...series,
        ],
      };
    },
  };
}

/** The label stands on the side on which there is more room. */
const labelOf = (dot: Dot, theme: Theme, width: number, isRight: boolean) => ({
  show: true,
  position: isRight ? ('left' as const) : ('right' as const),
  color: dot.row.valid ? theme.text : theme.bad,
  fontSize: 11,
  formatter: short(dot.row.valid ? dot.label : `${dot.label} (not valid)`, width < NARROW ? 16 : 34),
});

/** From zero, or with some room around values that lie close together. */
function rangeOf(values: readonly number[]): { readonly min: number; readonly max: number } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((high - low) * 0.15, high * 0.02);
  const round = (value: number): number => Number(value.toPrecision(2));
  return { min: low > high / 2 ? round(low - room) : 0, max: round(high + room) };
}

/** Which figures were stated by results, and which were computed here. */
function howMade(dots: readonly Dot[]): string {
  const isComputed = (key: 'outputPerGpuFrom' | 'outputPerUserFrom'): boolean =>
    dots.some(({ row }) => row[key] === 'computed');
  const parts = [
    isComputed('outputPerGpuFrom')
      ? 'output tok/s/GPU: output tokens per second, divided by the GPUs of all workers as the recipe places them'
      : 'output tok/s/GPU: as the results state it, over the GPUs of all workers',
    isComputed('outputPerUserFrom')
      ? 'tok/s/user: 1,000 divided by the median TPOT in ms, where the result does not state it'
      : 'tok/s/user: the median over requests, as the results state it',
  ];
  return parts.join('. ');
}
