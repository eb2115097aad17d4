import { figure } from '../charts/chart.ts';
import { changeText, isBetter } from '../compare/compare.ts';
import { deltaTable, differenceTable, remarkOf } from '../compare/tables.ts';
import type { Comparison, Delta, Report } from '../model/report.ts';
import { type Html, html } from './html.ts';
import { tableHtml } from './tables.ts';

/** Figures side by side, and what differed in what ran. */
export const comparisonSections = ({ comparisons = [] }: Report): Html =>
  html`<h2 id="comparison">Comparison</h2>${comparisons.map(comparisonCard)}`;

function comparisonCard(comparison: Comparison): Html {
  const { before, after, rows, recipe, environment } = comparison;
  const both = rows.filter((row) => row.before !== null && row.after !== null);
  const alone = rows.length - both.length;
  const names = ['output tok/s/GPU', 'tok/s/user', 'output tok/s', 'TTFT p99', 'TPOT p99', 'E2E p99'];
  return html`<section class="card"><h3>${before} and ${after}</h3>
<p class="about">${both.length} results match by parameters and load${alone > 0 ? `, ${alone} are on one side only` : ''}. Changes are from ${before} to ${after}; each is one run, so a small change may be chance.</p>
<div class="scroll" tabindex="0" role="region" aria-label="changes"><table><thead><tr><th scope="col">load</th>${names.map(
    (name) => html`<th scope="col" class="number">${name}</th>`,
  )}<th scope="col">remarks</th></tr></thead><tbody>${both.map(
    (row) =>
      html`<tr class="${row.valid ? '' : 'invalid'}"><td>${row.label}</td>${names.map((name) =>
        deltaCell(row.deltas.find((delta) => delta.figure === name)),
      )}<td>${remarkOf(row)}</td></tr>`,
  )}</tbody></table></div>
<details><summary>All figures</summary>${tableHtml(deltaTable(comparison), 'all figures')}</details>
<h3>What differed in what ran</h3>${
    recipe.length === 0
      ? html`<p class="muted">The recipes do not differ, or a file of another tool has none.</p>`
      : tableHtml(differenceTable(comparison, recipe), 'differences of the recipes')
  }${environment.length > 0 ? html`<details open><summary>Around it</summary>${tableHtml(differenceTable(comparison, environment), 'differences around it')}</details>` : null}</section>`;
}

function deltaCell(delta: Delta | undefined): Html {
  if (!delta) return html`<td class="number">${figure(null)}</td>`;
  const better = isBetter(delta);
  const kind = better === undefined ? '' : better ? 'good' : 'bad';
  const word = better === undefined ? '' : better ? ' better' : ' worse';
  return html`<td class="number">${`${figure(delta.before)} → ${figure(delta.after)}`}<br><span class="${kind}">${changeText(delta)}${word}</span></td>`;
}
