import { EXIT } from '../../../os/errors.ts';
import { duration } from '../../view/lines.ts';
import type { JobLine } from '../model/job-line.ts';
import { type Level, orderOf } from '../model/ui.ts';
import { row, type Size, type Span, span } from './rows.ts';
import type { Drawn, Scene } from './scene.ts';
import { type Column, table } from './table.ts';
import { clockOf } from './tones.ts';

/** All jobs, one a line. */
export function jobsView({ jobs, now }: Scene, level: Level, size: Size): Drawn {
  const lines = chosenJobs(jobs.lines, level);
  const running = jobs.lines.filter(({ isOver }) => !isOver).length;
  const title = [
    span(`jobs in ${jobs.root}: `, 'title'),
    span(`${running} not over, ${jobs.lines.length - running} over`),
    span(level.filter === '' ? '' : `, with "${level.filter}": ${lines.length}`),
  ];
  const ids = lines.map(({ jobId }) => jobId);
  const nothing = jobs.isRead
    ? level.filter === ''
      ? 'no jobs yet: srtctl apply -f RECIPE'
      : 'none'
    : 'reading …';
  const drawn = table(lines, columnsAt(now), level, size);
  const rows = lines.length === 0 ? [row(nothing, 'dim')] : drawn.rows;
  const height = Math.max(1, size.rows - 1);
  return { title, rows, ids, count: ids.length, height, offset: drawn.offset, matches: [] };
}

export function chosenJobs(lines: readonly JobLine[], level: Level): readonly JobLine[] {
  const text = level.filter.toLowerCase();
  const some = lines.filter((line) =>
    [line.jobId, line.name, line.state, ...line.tags].some((word) => word.toLowerCase().includes(text)),
  );
  const order = orderOf(level);
  if (order === 'name') return some.toSorted((a, b) => a.name.localeCompare(b.name));
  if (order === 'state')
    return some.toSorted((a, b) => Number(a.isOver) - Number(b.isOver) || a.state.localeCompare(b.state));
  return some;
}

const columnsAt = (now: number): readonly Column<JobLine>[] => [
  { title: 'JOB', rank: 0, most: 28, cell: ({ jobId }) => span(jobId) },
  { title: 'NAME', rank: 0, most: 24, cell: ({ name }) => span(name) },
  { title: 'STATE', rank: 0, most: 16, cell: stateOf },
  { title: 'POINTS', rank: 0, cell: pointsOf },
  { title: 'WORKERS READY', rank: 2, most: 30, cell: workersOf },
  { title: 'ELAPSED', rank: 3, right: true, cell: (line) => span(elapsed(line, now)) },
  { title: 'END', rank: 2, cell: (line) => endOf(line, now) },
  { title: 'BEST', rank: 4, most: 44, cell: ({ figures }) => span(figuresText(figures)) },
  { title: 'NOW', rank: 0, cell: nowOf },
];

/** Ends that are no failures of the whole job. */
const ENDS: ReadonlyMap<number, string> = new Map([
  [EXIT.interrupted, 'stopped'],
  [EXIT.terminated, 'stopped'],
  [EXIT.outOfTime, 'out of time'],
  [EXIT.partly, 'some failed'],
]);

function stateOf({ state, exitCode, isOver }: JobLine): Span {
  if (!isOver) return span(state, state === 'running' ? 'busy' : 'warn');
  if (exitCode === 0) return span('done', 'good');
  const known = exitCode === null ? undefined : ENDS.get(exitCode);
  return known ? span(known, 'warn') : span(exitCode === null ? state : `failed (${exitCode})`, 'bad');
}

function pointsOf({ points }: JobLine): Span {
  if (points.all === 0) return span('-', 'dim');
  const failed = points.failed > 0 ? ` ${points.failed} failed` : '';
  return span(`${points.done}/${points.all}${failed}`, points.failed > 0 ? 'bad' : undefined);
}

export function workersOf({ workers }: Pick<JobLine, 'workers'>): Span {
  const text = workers.map(({ role, ready, all }) => `${role} ${ready}/${all}`).join(' ');
  const isBad = workers.some(({ failed }) => failed > 0);
  return span(text, isBad ? 'bad' : workers.some(({ ready, all }) => ready < all) ? 'warn' : undefined);
}

function elapsed({ submittedAt, endedAt }: JobLine, now: number): string {
  const until = endedAt === null ? now : Date.parse(endedAt);
  return duration(Math.max(0, until - Date.parse(submittedAt)));
}

const endOf = ({ progress, isOver, endedAt }: JobLine, now: number): Span => {
  if (isOver) return span(endedAt === null ? '' : clockOf(endedAt, now), 'dim');
  return span(progress?.expectedEndAt ? `~${clockOf(progress.expectedEndAt, now)}` : '');
};

function figuresText(figures: JobLine['figures']): string {
  if (!figures) return '';
  const { rate, isPerGpu, ttftMs, itlMs } = figures;
  const times = [
    ...(ttftMs === null ? [] : [`TTFT ${ttftMs.toFixed(0)} ms`]),
    ...(itlMs === null ? [] : [`ITL ${itlMs.toFixed(1)} ms`]),
  ];
  return [`${rate.toFixed(0)} tok/s${isPerGpu ? '/GPU' : ''}`, ...times].join(' ');
}

function nowOf({ isOver, cause, reason, stage }: JobLine): Span {
  if (cause !== null) return span(cause, isOver ? 'bad' : 'warn');
  return span(isOver ? '' : reason === '' ? stage : reason);
}
