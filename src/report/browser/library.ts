import { CustomChart, LineChart, ScatterChart } from 'echarts/charts';
import {
  GridComponent,
  LegendScrollComponent,
  MarkLineComponent,
  TooltipComponent,
} from 'echarts/components';
import { init, use } from 'echarts/core';
import { LabelLayout } from 'echarts/features';
import { SVGRenderer } from 'echarts/renderers';
import type { Chart } from '../charts/chart.ts';
import type { Theme } from '../charts/theme.ts';

use([
  ...[CustomChart, LineChart, ScatterChart],
  ...[GridComponent, LegendScrollComponent, MarkLineComponent, TooltipComponent],
  ...[LabelLayout, SVGRenderer],
]);

export { init };

/** A chart as an SVG document, drawn without a browser. */
export function renderSvg(chart: Chart, theme: Theme, width: number): string {
  const drawn = init(null, null, { renderer: 'svg', ssr: true, width, height: chart.height });
  drawn.setOption({ ...chart.option(theme, width), backgroundColor: theme.surface, title: undefined });
  const text = drawn.renderToSVGString();
  drawn.dispose();
  return text;
}
