import { stringify } from 'yaml';
import type { Chart } from '../charts/chart.ts';
import { loadOf, rowsOf } from '../model/curves.ts';
import type { Point, Report, Source } from '../model/report.ts';
import { measuredTable } from '../text/measured.ts';
import { accuracyTable, figuresTable, pointsTable } from '../text/tables.ts';
import { type Html, html } from './html.ts';
import { tableHtml } from './tables.ts';

/** What a source is, and how far it came, in a card. */
export function sourceCard(source: Source): Html {
  const { points } = source;
  const rows = points.flatMap((point) => point.rows);
  const valid = rows.filter((row) => row.valid).length;
  const failed = points.filter(({ status }) => status.startsWith('failed')).length;
  const done = points.filter(({ status }) => status.startsWith('done')).length;
  const numbers: [string, string, string][] = [
    [`${done} of ${points.length}`, 'points done', done === points.length ? 'good' : ''],
    [String(failed), 'points failed', failed > 0 ? 'bad' : ''],
    [`${valid} of ${rows.length}`, 'results valid', valid < rows.length ? 'bad' : ''],
    [source.exitCode === null ? '–' : String(source.exitCode), 'exit code', ''],
  ];
  return html`<section class="card wide"><h3>${source.name}</h3>
<p class="muted">${source.id}, ${source.tool}, ${source.state}${source.submittedAt ? `, submitted ${source.submittedAt}` : ''}${
    source.tags.length > 0 ? `, tags ${source.tags.join(', ')}` : ''
  }</p>
<div class="numbers">${numbers.map(
    ([value, name, kind]) => html`<div><b class="${kind}">${value}</b>${name}</div>`,
  )}</div>
${source.cause ? html`<p class="bad">${source.cause.summary}</p>` : null}</section>`;
}

/** What makes figures doubtful, said before any of them. */
export function notices({ sources }: Report): Html {
  const lines = sources.flatMap((source) => [
    ...source.environment
      .filter(([name]) => name === 'engines')
      .map(([, text]) => `${source.id}: engines are ${text}`),
    ...source.warnings.map((text) => `${source.id}: ${text}`),
  ]);
  const invalid = rowsOf({ sources }).filter(({ row }) => !row.valid);
  return html`${
    lines.length === 0
      ? null
      : html`<div class="card notice">${lines.map((line) => html`<p>${line}</p>`)}</div>`
  }${
    invalid.length === 0
      ? null
      : html`<div class="card notice alarm"><p><b class="bad">${invalid.length === 1 ? '1 result is' : `${invalid.length} results are`} not valid.</b> Charts mark such results and keep them off the frontier.</p>
<ul>${invalid.map(
          ({ source, point, row }) =>
            html`<li>${sources.length > 1 ? `${source.id}, ` : ''}point ${point.ordinal} ${point.name}, ${loadOf(row)}: ${row.reasons.join('; ')}</li>`,
        )}</ul></div>`
  }`;
}

/** Recipe, points and environment of a source. */
export function whatRan(source: Source): Html {
  return html`<section class="card"><h3>${source.id}</h3>
${source.environment.length > 0 ? html`<dl>${source.environment.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>` : null}
${tableHtml(pointsTable(source), `points of ${source.id}`)}
${
  source.recipe === null
    ? null
    : html`<details><summary>The resolved recipe${source.varied.length > 0 ? ', without what differs between points' : ''}</summary><div class="scroll" tabindex="0" role="region" aria-label="recipe of ${source.id}"><pre>${stringify(source.recipe)}</pre></div></details>`
}</section>`;
}

/** Failed and interrupted points with the line of the log that explains each, and what happened besides. */
export function failures({ sources }: Report): Html | null {
  const cards = sources.flatMap((source) =>
    source.points.flatMap((point) => failureCard(source, point) ?? []),
  );
  return cards.length === 0 ? null : html`<h2 id="failures">What went wrong</h2>${cards}`;
}

function failureCard(source: Source, point: Point): Html | undefined {
  const { cause, lost, restarts, notDone, kills } = point;
  const others = [
    ...lost.map(({ summary }) => `ended while it was wanted: ${summary}`),
    ...restarts.map(
      ({ endpoint, node, why, measured }) =>
        `${endpoint} on ${node} started again${measured ? ' while requests were measured' : ''}: ${why}`,
    ),
    ...kills.map(
      ({ endpoint, after, done }) =>
        `${endpoint} was ${done ? '' : 'not '}killed by the experiment after ${after} s`,
    ),
    ...notDone.map((text) => `not done: ${text}`),
  ];
  if (!cause && others.length === 0) return undefined;
  return html`<section class="card"><h3>${source.id}, point ${point.ordinal} ${point.name}: ${point.status}</h3>
${
  cause
    ? html`<p class="bad">${cause.summary}</p><dl>${(
        [
          ['process', cause.process],
          ['node', cause.node],
          ['log line', cause.error],
          ['meaning', cause.says],
          ['what to do', cause.advice],
          ['log', cause.logFile],
        ] as const
      ).map(([name, value]) => (value ? html`<dt>${name}</dt><dd>${value}</dd>` : null))}</dl>${
        cause.logTail && cause.logTail.length > 0
          ? html`<details><summary>End of the log</summary><div class="scroll" tabindex="0" role="region" aria-label="end of the log"><pre>${cause.logTail.join('\n')}</pre></div></details>`
          : null
      }`
    : null
}${others.length > 0 ? html`<ul>${others.map((line) => html`<li>${line}</li>`)}</ul>` : null}</section>`;
}

export function figuresSection(report: Report): Html {
  const measured = measuredTable(report);
  const accuracy = accuracyTable(report);
  return html`${accuracy ? html`<section class="card"><h3>Accuracy</h3>${tableHtml(accuracy, 'accuracy')}</section>` : null}<section class="card">${tableHtml(figuresTable(report), 'figures')}${
    measured
      ? html`<details><summary>How they were measured: lengths, caches, engines, client</summary>${tableHtml(measured, 'how results were measured')}</details>`
      : null
  }</section>`;
}

/** A chart's place. The script of the page draws it; its table is there without a script. */
export function chartCard(chart: Chart, before: Html | null = null): Html {
  const isWide = chart.id === 'pareto' || chart.id.startsWith('timeline') || chart.id === 'goodput';
  return html`<section class="card${isWide ? ' wide' : ''}" id="${chart.id}"><h3>${chart.title}</h3><p class="about">${chart.about}</p>${before}
<div class="plot" data-chart="${chart.id}" style="height:${chart.height}px" role="img" aria-label="${chart.title}. The table below has its data."></div>
<details><summary>Table of the data</summary><div data-table="${chart.id}">${tableHtml(chart.table, chart.title)}</div></details></section>`;
}
