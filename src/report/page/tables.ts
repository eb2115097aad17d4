import type { Table } from '../charts/chart.ts';
import { type Html, html } from './html.ts';

/** What a cell is written as: `1,234`, `–`, `12 %`. */
const NUMBER = /^(\u2013|[-+]?[\d,]+(\.\d+)?(e[-+]?\d+)?( %)?)$/;

/** A table as HTML; columns of numbers are aligned to the right. It can be scrolled with the keyboard. */
export function tableHtml({ head, rows, note }: Table, name: string): Html {
  const isNumber = head.map((_, at) => rows.length > 0 && rows.every((row) => NUMBER.test(row[at] ?? '–')));
  const kind = (at: number): string => (isNumber[at] ? 'number' : '');
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${name}"><table>
<thead><tr>${head.map((title, at) => html`<th scope="col" class="${kind(at)}">${title}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) => html`<tr>${head.map((_, at) => html`<td class="${kind(at)}">${row[at] ?? ''}</td>`)}</tr>`,
  )}</tbody>
</table></div>${note ? html`<p class="about">${note}</p>` : null}`;
}
