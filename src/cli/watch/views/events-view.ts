import { lineOf } from '../../view/lines.ts';
import type { Level } from '../model/ui.ts';
import { jobTitle } from './job-head.ts';
import { row, rule, type Size } from './rows.ts';
import { type Drawn, empty, type Scene } from './scene.ts';

/** What happened, oldest first. */
export function eventsView({ job: scene }: Scene, level: Level, size: Size): Drawn {
  const { page, filter, follow } = level;
  if (!scene || page.kind !== 'events') return empty(size);
  const text = filter.toLowerCase();
  const some = scene.history.events.filter(
    (event) =>
      (page.node === undefined || ('node' in event && event.node === page.node)) &&
      (text === '' || lineOf(event).toLowerCase().includes(text)),
  );
  const height = Math.max(1, size.rows - 1);
  const last = Math.max(0, some.length - height);
  const offset = follow ? last : Math.min(level.offset, last);
  const shown = some.slice(offset, offset + height).map((event) => {
    const isBad = 'to' in event && ['failed', 'lost'].includes(event.to);
    return row(lineOf(event), isBad ? 'bad' : undefined);
  });
  const only = filter === '' ? '' : ` with "${filter}"`;
  return {
    title: jobTitle(scene, ...(page.node === undefined ? [] : [page.node]), 'events'),
    rows: [rule(`${some.length} events${only}${follow ? ', newest' : ''}`, size.columns), ...shown],
    ...{ ids: [], count: some.length, height, offset, matches: [] },
  };
}
