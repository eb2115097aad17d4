import type { Slo } from '../model/goodput.ts';
import type { Report } from '../model/report.ts';
import type { Chart } from './chart.ts';
import { distributionCharts } from './distribution.ts';
import { goodputChart } from './goodput.ts';
import { latencyCharts } from './latency.ts';
import { paretoChart } from './pareto.ts';
import { ratesChart } from './rates.ts';
import { timelineChart } from './timeline.ts';

/** All charts that a report has data for, in the order of the page. @param slo limits of the goodput */
export function chartsOf(report: Report, slo: Slo): Chart[] {
  return [
    paretoChart(report),
    ...latencyCharts(report),
    ...distributionCharts(report),
    goodputChart(report, slo),
    ratesChart(report),
    ...report.sources.map(timelineChart),
  ].filter((chart) => chart !== undefined);
}
