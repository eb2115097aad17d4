import type { EChartsOption } from 'echarts';
import type { Row } from '../model/report.ts';
import { NARROW } from './chart.ts';
import type { Theme } from './theme.ts';

type Axis = Record<string, unknown>;

/** An axis of a chart with its title. */
export function axis(theme: Theme, name: string, more: Axis = {}): Axis {
  return {
    type: 'value',
    name,
    nameLocation: 'middle',
    nameTextStyle: { color: theme.muted },
    axisLabel: { color: theme.muted, hideOverlap: true },
    axisLine: { show: true, lineStyle: { color: theme.line } },
    splitLine: { lineStyle: { color: theme.line } },
    ...more,
  };
}

/** What all charts have in common. Nothing moves, because a chart is drawn anew for each theme and width. */
export function base(theme: Theme, width: number, names: readonly string[]): EChartsOption {
  const hasLegend = names.length > 1;
  return {
    animation: false,
    color: [...theme.series],
    textStyle: { color: theme.text, fontFamily: 'system-ui, sans-serif' },
    grid: {
      left: width < NARROW ? 56 : 72,
      right: width < NARROW ? 16 : 32,
      top: hasLegend ? 52 : 24,
      bottom: 56,
    },
    legend: {
      show: hasLegend,
      type: 'scroll',
      top: 0,
      data: [...names],
      textStyle: { color: theme.text },
      pageTextStyle: { color: theme.text },
      pageIconColor: theme.text,
      pageIconInactiveColor: theme.line,
    },
    tooltip: {
      trigger: 'item',
      confine: true,
      backgroundColor: theme.surface,
      borderColor: theme.line,
      textStyle: { color: theme.text, fontSize: 12 },
    },
  };
}

/**
 * The type of an axis of durations: logarithmic when the largest is more than 30 times the smallest, because a slow
 * tail would otherwise flatten the rest.
 */
export function scaleOf(values: readonly number[]): 'log' | 'value' {
  const positive = values.filter((value) => value > 0);
  if (positive.length < values.length || positive.length === 0) return 'value';
  return Math.max(...positive) / Math.min(...positive) > 30 ? 'log' : 'value';
}

/** A text of at most `most` characters. */
export const short = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 1)}…` : text;

/** How an item of a row is drawn: hollow and red when it is not valid, with the reasons in its tip. */
export function hollow(row: Row, theme: Theme, tip: readonly string[]): object {
  if (row.valid) return { tip };
  return {
    tip: [...tip, `not valid: ${row.reasons.join('; ')}`],
    itemStyle: { color: 'transparent', borderColor: theme.bad, borderWidth: 2 },
  };
}
