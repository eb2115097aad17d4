import { clock } from '../../view/lines.ts';
import { endpointOf } from '../model/job-history.ts';
import { type Level, PANES } from '../model/ui.ts';
import { jobTitle } from './job-head.ts';
import { labelled, pieces, type Row, row, rule, type Size, span, sparkline, wrapped } from './rows.ts';
import { type Drawn, empty, type JobScene, type ProcessScene, type Scene } from './scene.ts';
import { percent, toneOf, whole } from './tones.ts';

/** A process: its state, its figures, and its log, its past or its command. */
export function processView({ job: scene, process }: Scene, level: Level, size: Size): Drawn {
  const { page } = level;
  if (!scene || page.kind !== 'process') return empty(size);
  const head = [...stateRows(scene, page.process), ...figureRows(scene, page.process, size.columns)];
  const body = paneRows(scene, process, level, size.columns);
  const height = Math.max(1, size.rows - head.length - 1);
  const last = Math.max(0, body.length - height);
  const offset = level.follow && level.pane === 'log' ? last : Math.min(level.offset, last);
  const matches = level.pane === 'log' ? matchesIn(process?.log ?? [], level.filter, size.columns) : [];
  return {
    title: jobTitle(scene, page.process),
    rows: [
      ...head,
      rule(paneTitle(level, matches.length), size.columns),
      ...body.slice(offset, offset + height),
    ],
    ids: [],
    count: body.length,
    height,
    offset,
    matches,
  };
}

function paneTitle({ pane, follow, filter }: Level, matches: number): string {
  const others = PANES.filter((each) => each !== pane).join(', ');
  const searched = filter === '' || pane !== 'log' ? '' : `, "${filter}" in ${matches} lines (n, N)`;
  const live = pane === 'log' ? (follow ? ', newest line' : ', stopped: f or G goes on') : '';
  return `${pane}${live}${searched}  (Tab: ${others})`;
}

function stateRows({ history }: JobScene, id: string): Row[] {
  const process = history.job.processes.get(id);
  const past = history.pasts.get(id);
  if (!process && !past) return [row(`${id} has not begun yet`, 'dim')];
  const last = past?.changes.at(-1);
  const state = process?.state ?? last?.to ?? 'waiting';
  const why = process?.why ?? last?.why ?? '';
  const restart = history.job.restarts.get(endpointOf(id));
  const facts = [
    `${process?.role ?? ''} on ${process?.node ?? past?.node ?? ''}`,
    ...(process?.pid == null ? [] : [`pid ${process.pid}`]),
    ...(restart ? [`restart ${restart.restart} of ${restart.most}`] : []),
  ];
  return [
    labelled(
      'state',
      span(state, toneOf(state)),
      span(why === '' ? '' : ` (${why})`, state === 'failed' ? 'bad' : undefined),
    ),
    labelled('is', span(facts.join(', '))),
    ...(past ? [labelled('log', span(past.logFile, 'dim'))] : []),
  ];
}

function figureRows({ engines }: JobScene, id: string, columns: number): Row[] {
  const figures = engines.of(id);
  if (!figures) return [];
  const width = Math.max(4, Math.min(60, Math.floor(columns / 4)));
  const pair = (name: string, values: readonly number[], text: string) => [
    span(`${name} `.padStart(11), 'dim'),
    span(text.padEnd(8)),
    span(sparkline(values, width).padEnd(width + 1), 'busy'),
  ];
  const { running, waiting, cache, outputRate, inputRate } = figures;
  return [
    [...pair('running', running, whole(running.at(-1))), ...pair('waiting', waiting, whole(waiting.at(-1)))],
    [
      ...pair('output t/s', outputRate, whole(outputRate.at(-1))),
      ...pair('input t/s', inputRate, whole(inputRate.at(-1))),
    ],
    ...(cache.length > 0 ? [pair('KV cache', cache, percent(cache.at(-1)))] : []),
  ];
}

function paneRows({ history }: JobScene, process: ProcessScene | null, level: Level, columns: number): Row[] {
  const { page, pane, filter } = level;
  if (page.kind !== 'process') return [];
  if (pane === 'history')
    return (history.pasts.get(page.process)?.changes ?? []).map(({ at, to, why }) => [
      span(`${clock(at)} `, 'dim'),
      span(to.padEnd(10), toneOf(to)),
      span(why),
    ]);
  if (pane === 'command') return commandRows(process, columns);
  const log = process?.log ?? [];
  if (log.length === 0) return [row(process === null ? 'reading …' : 'the log is empty', 'dim')];
  return log.flatMap((line) => {
    const tone = hasText(line, filter) ? 'warn' : undefined;
    // Almost all lines fit, and need not be measured.
    return line.length * 2 <= columns
      ? [row(line, tone)]
      : pieces(line, columns).map((piece) => row(piece, tone));
  });
}

function commandRows(process: ProcessScene | null, columns: number): Row[] {
  if (!process) return [row('reading …', 'dim')];
  const { command } = process;
  if (typeof command === 'string') return [row(command, 'dim')];
  return [
    ...wrapped(command.line, columns).map((line) => row(line)),
    row(''),
    ...command.environment.flatMap((line) => wrapped(line, columns).map((part) => row(part, 'dim'))),
  ];
}

const hasText = (line: string, text: string): boolean =>
  text !== '' && line.toLowerCase().includes(text.toLowerCase());

/** The rows of the log on which a line with the text begins. */
function matchesIn(log: readonly string[], text: string, columns: number): number[] {
  if (text === '') return [];
  const found: number[] = [];
  let at = 0;
  for (const line of log) {
    if (hasText(line, text)) found.push(at);
    at += line.length * 2 <= columns ? 1 : pieces(line, columns).length;
  }
  return found;
}
