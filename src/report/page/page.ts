import { createHash } from 'node:crypto';
import { chartsOf } from '../charts/index.ts';
import { LATENCIES } from '../charts/latency.ts';
import { lanesForPage } from '../charts/timeline.ts';
import type { Report, Row } from '../model/report.ts';
import { type SloRange, startSlo } from '../model/slo-range.ts';
import { comparisonSections } from './comparison.ts';
import { Html, html, jsonInScript } from './html.ts';
import { chartCard, failures, figuresSection, notices, sourceCard, whatRan } from './sections.ts';
import { STYLES } from './styles.ts';

/**
 * The whole page: one file that needs no network and forbids it. The tables are HTML; `script` (the page's program with
 * the library of charts) draws the charts from the report in the page.
 */
export function pageOf(report: Report, script: string): string {
  const ranges = startSlo(report);
  const charts = chartsOf(report, ranges.slo);
  const names = [...new Set(report.sources.map(({ name }) => name))];
  const title = `${report.comparisons ? 'Comparison' : 'Report'}: ${names.join(', ')}`;
  const data = { report: forPage(report), slo: ranges.slo };
  const failed = failures(report);
  const policy = [
    "default-src 'none'",
    `script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`,
    "style-src 'unsafe-inline'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const isTimeline = (id: string): boolean => id.startsWith('timeline');
  const cards = (keep: (id: string) => boolean): Html[] =>
    charts
      .filter(({ id }) => keep(id))
      .map((chart) => chartCard(chart, chart.id === 'goodput' ? sliders(ranges) : null));
  const hasTimeline = charts.some(({ id }) => isTimeline(id));
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${new Html(STYLES)}</style></head>
<body><header><div class="bar"><h1>${title}</h1><button type="button" id="theme">Dark</button></div>
<p class="muted">Made ${report.madeAt} by srtctl ${report.srtctl}</p>
<nav aria-label="Sections"><ul><li><a href="#summary">Summary</a></li>${
    report.comparisons ? html`<li><a href="#comparison">Comparison</a></li>` : null
  }<li><a href="#charts">Charts</a></li><li><a href="#figures">Figures</a></li>${
    failed ? html`<li><a href="#failures">What went wrong</a></li>` : null
  }<li><a href="#what-ran">What ran</a></li>${hasTimeline ? html`<li><a href="#time">Timeline</a></li>` : null}</ul></nav></header>
<main><h2 id="summary">Summary</h2>${notices(report)}${report.sources.map(sourceCard)}
${report.comparisons ? comparisonSections(report) : null}
<h2 id="charts">Charts</h2><noscript><p>Charts need JavaScript; the table below each has its data.</p></noscript>
<div class="grid">${cards((id) => !isTimeline(id))}</div>
<h2 id="figures">Figures</h2>${figuresSection(report)}
${failed}
<h2 id="what-ran">What ran</h2>${report.sources.map(whatRan)}
${hasTimeline ? html`<h2 id="time">Timeline</h2><div class="grid">${cards(isTimeline)}</div>` : null}
</main><footer>This file is complete: it loads nothing, and its data is in the element <code>report-data</code> as JSON.</footer>
<script type="application/json" id="report-data">${jsonInScript(data)}</script>
<script>${new Html(script)}</script></body></html>
`;
  return page.text;
}

/** Only what the page's script draws, and each figure once: the tables already have the rest of the timeline. */
const forPage = (report: Report) => ({
  ...report,
  sources: report.sources.map((source) => ({
    ...source,
    points: source.points.map((point) => ({ ...point, rows: point.rows.map(rowForPage) })),
    timeline: source.timeline && { ...source.timeline, lanes: lanesForPage(source.timeline) },
  })),
});

/** The result without the distributions that the row has, too. */
function rowForPage({ result, ...row }: Row) {
  if (!result) return row;
  const isInRow = ([key, value]: [string, unknown]): boolean =>
    LATENCIES.some((latency) => latency.key === key && row[latency.key] === value);
  return { ...row, result: Object.fromEntries(Object.entries(result).filter((each) => !isInRow(each))) };
}

const sliders = ({ slo, most }: SloRange): Html =>
  html`<fieldset><legend>Limits of a good request</legend>${(
    [
      ['ttftMs', 'TTFT'],
      ['tpotMs', 'TPOT'],
      ['e2elMs', 'E2E'],
    ] as const
  ).map(
    ([key, name]) =>
      html`<label>${name}: <output data-slo="${key}">${slo[key] === undefined ? 'no limit' : `${slo[key]} ms`}</output>
<input type="range" min="0" max="1000" step="1" data-limit="${key}" data-most="${most[key]}" value="1000" aria-label="limit of ${name}"></label>`,
  )}</fieldset>`;
