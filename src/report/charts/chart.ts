import type { EChartsOption } from 'echarts';
import type { Theme } from './theme.ts';

/** The data of a chart for people who do not see it. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What the table does not say, as how many rows were left out. */
  readonly note?: string;
}

/** A chart of the page, also drawn without a browser. */
export interface Chart {
  /** For file names and anchors: letters, digits and dashes. */
  readonly id: string;
  readonly title: string;
  /** How to read it, in a sentence or two. */
  readonly about: string;
  /** In pixels. */
  readonly height: number;
  readonly table: Table;
  /** @param width of the chart in pixels */
  option(theme: Theme, width: number): EChartsOption;
}

/** A figure for people: four significant digits at most, large ones in whole numbers. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(4)));
}

/** Below this width a chart has no room beside it for names. */
export const NARROW = 560;
