import type { ProcessView } from '../../jobs/job-model.ts';
import { lineOf } from '../../view/lines.ts';
import { age, byTrouble } from '../../view/process-list.ts';
import { endpointOf } from '../model/job-history.ts';
import { type Level, orderOf } from '../model/ui.ts';
import { jobHead, jobTitle } from './job-head.ts';
import { nodeHead } from './nodes-view.ts';
import { type Row, row, rule, type Size, span } from './rows.ts';
import { type Drawn, empty, type JobScene, type Scene } from './scene.ts';
import { type Column, table } from './table.ts';
import { memoryText, percent, toneOf, useText, whole } from './tones.ts';

/** Rows of events below the processes, on a screen with room for them. */
const EVENTS = { least: 3, share: 0.2, most: 12 } as const;

/** A job: how far it is, its processes, and what happened last. */
export function jobView({ job: scene, now }: Scene, level: Level, size: Size): Drawn {
  if (!scene) return empty(size);
  const { page } = level;
  const node = page.kind === 'job' ? page.node : undefined;
  const head = node === undefined ? jobHead(scene, size.columns, now) : nodeHead(scene, node, now);
  const processes = chosenProcesses(scene, level);
  const room = Math.max(0, size.rows - head.length);
  const events =
    room < 12
      ? Math.min(3, Math.max(0, room - 6))
      : Math.min(EVENTS.most, Math.max(EVENTS.least, Math.floor(room * EVENTS.share)));
  const rows = Math.max(2, room - 1 - (events > 0 ? events + 1 : 0));
  const only = level.filter === '' ? '' : ` with "${level.filter}"`;
  const { rows: body, offset } = table(processes, columnsOf(scene, now), level, {
    columns: size.columns,
    rows,
  });
  const fill: Row[] = Array.from({ length: Math.max(0, rows - body.length) }, () => row(''));
  const ids = processes.map(({ id }) => id);
  return {
    title: jobTitle(scene, ...(node === undefined ? [] : [node])),
    rows: [
      ...head,
      rule(`${processes.length} processes${only}, by ${orderOf(level)}`, size.columns),
      ...body,
      ...fill,
      ...(events > 0 ? [rule('events', size.columns), ...lastEvents(scene, node, events)] : []),
    ],
    ids,
    count: ids.length,
    height: rows - 1,
    offset,
    matches: [],
  };
}

interface Sorted {
  readonly key: string;
  readonly list: readonly ProcessView[];
}
/** The sorted list of a job until one of its processes changes, because sorting 8,000 takes longer than a frame. */
const sorted = new WeakMap<object, Sorted>();

function chosenProcesses({ history }: JobScene, level: Level): readonly ProcessView[] {
  const { page, filter } = level;
  const node = page.kind === 'job' ? page.node : undefined;
  const key = JSON.stringify([history.version, orderOf(level), filter, node]);
  const before = sorted.get(history);
  if (before?.key === key) return before.list;
  const text = filter.toLowerCase();
  const some = [...history.job.processes.values()].filter(
    (each) =>
      (node === undefined || each.node === node) &&
      (text === '' ||
        [each.id, each.node, each.state, each.role, each.why].some((word) =>
          word.toLowerCase().includes(text),
        )),
  );
  const list = some.sort(ordering(orderOf(level)));
  sorted.set(history, { key, list });
  return list;
}

const names = new Intl.Collator('en', { numeric: true });

function ordering(order: string): (a: ProcessView, b: ProcessView) => number {
  if (order === 'name') return (a, b) => names.compare(a.id, b.id);
  if (order === 'node') return (a, b) => names.compare(a.node, b.node) || names.compare(a.id, b.id);
  if (order === 'newest') return (a, b) => b.since.localeCompare(a.since) || names.compare(a.id, b.id);
  return byTrouble;
}

/** Processes with GPUs. */
const WORKERS: readonly string[] = ['prefill', 'decode', 'agg'];

const columnsOf = ({ history, engines, gpus }: JobScene, now: number): readonly Column<ProcessView>[] => [
  { title: 'NODE', rank: 0, most: 24, cell: ({ node }) => span(node) },
  { title: 'PROCESS', rank: 0, most: 24, cell: ({ id }) => span(id) },
  { title: 'STATE', rank: 0, cell: ({ state }) => span(state, toneOf(state)) },
  { title: 'FOR', rank: 1, right: true, cell: ({ since }) => span(age(since, now)) },
  {
    title: 'RESTARTS',
    rank: 3,
    right: true,
    cell({ id }) {
      const times = history.job.restarts.get(endpointOf(id))?.restart ?? 0;
      return span(times === 0 ? '' : `${times}`, 'warn');
    },
  },
  { title: 'RUN', rank: 2, right: true, cell: ({ id }) => span(whole(engines.of(id)?.running.at(-1))) },
  { title: 'WAIT', rank: 2, right: true, cell: ({ id }) => span(whole(engines.of(id)?.waiting.at(-1))) },
  { title: 'TOK/S', rank: 2, right: true, cell: ({ id }) => span(whole(engines.of(id)?.outputRate.at(-1))) },
  { title: 'KV', rank: 4, right: true, cell: ({ id }) => span(percent(engines.of(id)?.cache.at(-1))) },
  {
    title: 'GPUS OF NODE',
    rank: 3,
    right: true,
    cell({ node, role }) {
      if (!WORKERS.includes(role)) return span('');
      const all = gpus.together(node);
      return span([useText(all), memoryText(all)].filter((text) => text !== '').join(' '));
    },
  },
  { title: 'PID', rank: 5, right: true, cell: ({ pid }) => span(pid === null ? '' : `${pid}`) },
  { title: 'WHY', rank: 0, cell: ({ why, state }) => span(why, state === 'failed' ? 'bad' : 'dim') },
];

function lastEvents({ history }: JobScene, node: string | undefined, count: number): Row[] {
  const lines: Row[] = [];
  for (let at = history.events.length - 1; at >= 0 && lines.length < count; at--) {
    const event = history.events[at];
    if (!event || event.kind === 'clock.offset') continue;
    if (node !== undefined && !('node' in event && event.node === node)) continue;
    const isBad = 'to' in event && ['failed', 'lost'].includes(event.to);
    lines.unshift(row(lineOf(event), isBad ? 'bad' : undefined));
  }
  return lines;
}
