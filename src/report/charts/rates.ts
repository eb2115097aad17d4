import type { SeriesOption } from 'echarts';
import { rowNamer, rowsOf } from '../model/curves.ts';
import type { Report } from '../model/report.ts';
import { type Chart, figure, NARROW } from './chart.ts';
import { axis, base } from './common.ts';
import { colourOf } from './theme.ts';

/** Output tokens per second over time, where results have them; undefined where none has. */
export function ratesChart(report: Report): Chart | undefined {
  const nameOf = rowNamer(report.sources);
  const lines = rowsOf(report).flatMap((placed) => {
    const { point, row } = placed;
    const rates = row.result?.rates;
    if (!rates) return [];
    const values = rates.outputTokens.map(
      (tokens, at) => [at * rates.seconds, tokens / rates.seconds] as const,
    );
    const kills = point.kills.filter(({ done }) => done).map(({ after, endpoint }) => ({ after, endpoint }));
    return [{ name: nameOf(placed), values, kills, rates }];
  });
  if (lines.length === 0) return undefined;
  return {
    id: 'rates',
    title: 'Output tokens per second over time',
    about: 'From the begin of the measured window. Red lines are workers that the experiment killed.',
    height: 300,
    table: {
      head: ['row', 'from (s)', 'output tok/s', 'completed', 'failed'],
      rows: lines.flatMap(({ name, values, rates }) =>
        values.map(([from, rate], at) => [
          name,
          String(from),
          figure(rate),
          String(rates.completed[at] ?? 0),
          String(rates.failed[at] ?? 0),
        ]),
      ),
    },
    option: (theme, width) => ({
      ...base(
        theme,
        width,
        lines.map(({ name }) => name),
      ),
      xAxis: axis(theme, 'seconds', { nameGap: 28, min: 0 }),
      yAxis: axis(theme, 'output tokens/s', { nameGap: width < NARROW ? 40 : 52, min: 0 }),
      series: lines.map(
        ({ name, values, kills }, at): SeriesOption => ({
          type: 'line',
          name,
          step: 'end',
          symbol: 'none',
          color: colourOf(theme, at),
          data: values.map((value) => ({ value: [...value] })),
          markLine: {
            symbol: 'none',
            silent: true,
            lineStyle: { color: theme.bad },
            label: { color: theme.bad, formatter: '{b}' },
            data: kills.map(({ after, endpoint }) => ({ xAxis: after, name: endpoint })),
          },
        }),
      ),
    }),
  };
}
