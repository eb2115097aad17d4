import type { createColors } from 'picocolors';
import type { AgentState, PointState, ProcessState } from '../../messages/spec/states.ts';
import type { ProcessView } from '../jobs/job-model.ts';
import { cut, widthOf } from '../terminal/text.ts';

export type Colors = ReturnType<typeof createColors>;

export interface Area {
  readonly columns: number;
  readonly rows: number;
  readonly colors: Colors;
  /** ms since the epoch, for "since". */
  readonly now: number;
}

/** Processes with problems come first; healthy ones come last, where the list may be cut. */
const ORDER: readonly ProcessState[] = [
  'failed',
  'degraded',
  'stopping',
  'starting',
  'preparing',
  'waiting',
  'stopped',
  'ready',
];

export function paint(
  colors: Colors,
  state: ProcessState | AgentState | PointState,
): (text: string) => string {
  switch (state) {
    case 'ready':
    case 'joined':
    case 'done':
      return colors.green;
    case 'failed':
    case 'lost':
      return colors.red;
    case 'degraded':
    case 'suspect':
    case 'interrupted':
      return colors.yellow;
    case 'stopped':
    case 'left':
      return colors.dim;
    default:
      return colors.cyan;
  }
}

/** `3 s`, `4 min`, `2 h`: the age on the clock of `now`. */
export function age(since: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1_000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/** `3 ready, 1 starting` */
export function counts(states: readonly string[]): string {
  const by = new Map<string, number>();
  for (const state of states) by.set(state, (by.get(state) ?? 0) + 1);
  return [...by].map(([state, count]) => `${count} ${state}`).join(', ');
}

/**
 * Processes in at most `rows` lines: each of them, or the counts of each role and those that are not ready.
 */
export function processLines(processes: readonly ProcessView[], area: Area): string[] {
  const { rows, columns, colors } = area;
  if (rows <= 0) return [];
  if (processes.length <= rows) return list(processes.toSorted(byPlace), area);
  const roles = [...new Set(processes.map((each) => each.role))];
  const totals = roles.map((role) => {
    const states = processes.filter((each) => each.role === role).map((each) => each.state);
    return cut(`  ${role}: ${counts(states)}`, columns);
  });
  const unready = processes.filter((each) => each.state !== 'ready').toSorted(byTrouble);
  const room = rows - totals.length;
  if (unready.length <= room) return [...totals, ...list(unready, area)];
  const shown = list(unready.slice(0, Math.max(0, room - 1)), area);
  const more = colors.dim(cut(`  … ${unready.length - shown.length} more not ready`, columns));
  return [...totals, ...shown, more].slice(0, rows);
}

const collator = new Intl.Collator('en', { numeric: true });
/** Processes with problems first. */
export const byTrouble = (a: ProcessView, b: ProcessView): number =>
  ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || byPlace(a, b);
const byPlace = (a: ProcessView, b: ProcessView): number =>
  collator.compare(a.node, b.node) || collator.compare(a.id, b.id);

function list(processes: readonly ProcessView[], { columns, colors, now }: Area): string[] {
  const widest = (of: (each: ProcessView) => string) =>
    processes.reduce((most, each) => Math.max(most, widthOf(of(each))), 0);
  const [node, id] = [widest((each) => each.node), widest((each) => each.id)];
  return processes.map((each) => {
    const name = `  ${each.node.padEnd(node)} ${each.id.padEnd(id)}`;
    const text = `${name} ${each.state.padEnd(9)} ${age(each.since, now).padStart(6)}  ${each.why}`;
    return paint(colors, each.state)(cut(text, columns));
  });
}
