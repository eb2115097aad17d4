import type { CustomSeriesOption } from 'echarts';

/** A range of values at a place of the x axis. */
type Range = readonly [x: number, low: number, high: number];

/** An area between two lines. */
export function bandSeries(name: string, colour: string, ranges: readonly Range[]): CustomSeriesOption {
  return {
    type: 'custom',
    name,
    silent: true,
    color: colour,
    data: [0],
    renderItem(_, api) {
      const upper = ranges.map(([x, , high]) => api.coord([x, high]));
      const lower = ranges.map(([x, low]) => api.coord([x, low])).reverse();
      return {
        type: 'polygon',
        shape: { points: [...upper, ...lower] },
        style: { fill: colour, opacity: 0.14 },
      };
    },
  };
}

/** An upright line for each range. */
export function whiskers(name: string, colour: string, ranges: readonly Range[]): CustomSeriesOption {
  return {
    type: 'custom',
    name,
    silent: true,
    color: colour,
    data: ranges.map((range) => [...range]),
    renderItem(_, api) {
      const [x1 = 0, y1 = 0] = api.coord([api.value(0), api.value(1)]);
      const [, y2 = 0] = api.coord([api.value(0), api.value(2)]);
      return {
        type: 'line',
        shape: { x1, y1, x2: x1, y2 },
        style: { stroke: colour, lineWidth: 4, opacity: 0.35 },
      };
    },
  };
}
