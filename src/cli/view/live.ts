import type { BenchmarkProgress } from '../../messages/job-directory/result.ts';
import type { JobView, PointView } from '../jobs/job-model.ts';
import { cut } from '../terminal/text.ts';
import { progressText, sweepText } from './lines.ts';
import { type Area, age, counts, paint, processLines } from './process-list.ts';

/**
 * The live picture of a job, never wider or higher than the screen; the last row stays free for the cursor.
 */
export function render(view: JobView, title: string, screen: Area): string {
  const room = Math.max(1, screen.rows - 1);
  const head = [screen.colors.bold(cut(title, screen.columns)), ...overview(view, screen)].slice(0, room);
  const processes = [...view.processes.values()].filter(({ state }) => state !== 'stopped');
  return [...head, ...processLines(processes, { ...screen, rows: room - head.length })].join('\n');
}

function overview(view: JobView, { columns, colors, now }: Area): string[] {
  const lines = [cut(`job: ${view.sweep ?? 'starting'}${view.why === '' ? '' : ` (${view.why})`}`, columns)];
  const current = [...view.points].at(-1);
  // The cause of an earlier point's failure is not shown for the current one.
  const cause = view.sweep === 'running' && current ? current[1].cause : view.cause;
  if (cause) lines.push(colors.red(cut(`cause: ${cause.summary}`, columns)));
  lines.push(cut(`agents: ${agentsText(view)}`, columns));
  if (current) lines.push(paint(colors, current[1].state)(cut(pointText(view, ...current, now), columns)));
  if (view.sweepProgress)
    lines.push(cut(`sweep: ${sweepText(view.sweepProgress, view.sweep === 'running')}`, columns));
  if (view.progress) lines.push(cut(`${bar(view.progress, 20)} ${progressText(view.progress)}`, columns));
  return lines;
}

function agentsText({ agents, pulses }: JobView): string {
  const states = counts([...agents.values()]) || 'none yet';
  const alive = [...pulses.values()].reduce((sum, pulse) => sum + pulse.alive, 0);
  return pulses.size === 0 ? states : `${states}; ${alive} processes alive`;
}

function pointText(view: JobView, ordinal: number, { name, state, since }: PointView, now: number): string {
  const before = [...view.points.values()].slice(0, -1).map((point) => point.state);
  const past = before.length === 0 ? '' : `; before: ${counts(before)}`;
  const left = view.pointCount - view.points.size;
  const next = left > 0 ? `; ${left} to come` : '';
  return `point ${ordinal} ${name}: ${state} for ${age(since, now)}${past}${next}`;
}

function bar({ requestsDone, requestsTotal }: BenchmarkProgress, width: number): string {
  const share = requestsTotal > 0 ? Math.min(1, requestsDone / requestsTotal) : 0;
  const full = Math.round(share * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}
