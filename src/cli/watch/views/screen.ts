import { widthOf } from '../../terminal/text.ts';
import type { Facts } from '../model/keys.ts';
import { type Page, topOf, type Ui } from '../model/ui.ts';
import { eventsView } from './events-view.ts';
import { helpRows } from './help.ts';
import { jobView } from './job-view.ts';
import { jobsView } from './jobs-view.ts';
import { nodesView } from './nodes-view.ts';
import { processView } from './process-view.ts';
import { fitted, type Row, row, type Size, span, textOf } from './rows.ts';
import type { Scene, View } from './scene.ts';

const VIEWS: Readonly<Record<Page['kind'], View>> = {
  jobs: jobsView,
  job: jobView,
  nodes: nodesView,
  events: eventsView,
  process: processView,
};

const HINTS: Readonly<Record<Page['kind'], string>> = {
  jobs: '? help  Enter open  / filter  s sort  c cancel  q end',
  job: '? help  Enter process  n nodes  e events  / filter  s sort  c cancel  q back',
  nodes: '? help  Enter node  / filter  s sort  q back',
  events: '? help  / filter  f follow  q back',
  process: '? help  Tab log, history, command  / search  f follow  y copy command  q back',
};

/** The whole screen: exactly `size.rows` rows of `size.columns` cells, and what keys need to know of it. */
export function screenOf(
  scene: Scene,
  ui: Ui,
  size: Size,
): { readonly rows: Row[]; readonly facts: Facts; readonly offset: number } {
  const level = topOf(ui);
  const inner = { columns: size.columns, rows: Math.max(1, size.rows - 2) };
  const drawn = VIEWS[level.page.kind](scene, level, inner);
  const body = ui.isHelp ? helpRows() : drawn.rows;
  const time = new Date(scene.now).toTimeString().slice(0, 8);
  const title = fitted(drawn.title, Math.max(0, size.columns - time.length - 1));
  const lines = [
    [...title, span(` ${time}`, 'dim')],
    ...Array.from({ length: inner.rows }, (_, at) => body[at] ?? row('')),
    footer(ui),
  ];
  const { ids, count, height, matches, offset } = drawn;
  return {
    rows: lines.slice(0, size.rows).map((line) => fitted(line, size.columns)),
    facts: { ids, count, height, matches },
    offset,
  };
}

function footer({ prompt, note, levels }: Ui): Row {
  const kind = levels.at(-1)?.page.kind ?? 'jobs';
  if (prompt?.kind === 'cancel')
    return row(
      `cancel ${prompt.jobId}?  y yes  n no   (its processes stop, its results so far are kept)`,
      'warn',
    );
  if (prompt)
    return [
      span(kind === 'process' ? 'search: ' : 'filter: ', 'title'),
      span(`${prompt.text}▏`),
      span('  Enter keep  Esc clear', 'dim'),
    ];
  return note === null ? row(HINTS[kind], 'dim') : row(note, 'warn');
}

/** The screen as text, for tests. */
export const screenText = (rows: readonly Row[]): string => rows.map(textOf).join('\n');

export const widthOfRow = (line: Row): number => line.reduce((sum, { text }) => sum + widthOf(text), 0);
