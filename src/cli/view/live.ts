import type { createColors } from 'picocolors';
import type { AgentState, ProcessState } from '../../messages/states.ts';
import { progressText } from './lines.ts';
import type { JobView, ProcessView } from './model.ts';

type Colors = ReturnType<typeof createColors>;

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  readonly colors: Colors;
  /** ms since the epoch, for "since". */
  readonly now: number;
}

const paint = (colors: Colors, state: ProcessState | AgentState): ((text: string) => string) => {
  switch (state) {
    case 'ready':
    case 'joined':
      return colors.green;
    case 'failed':
    case 'lost':
      return colors.red;
    case 'degraded':
    case 'suspect':
      return colors.yellow;
    case 'stopped':
    case 'left':
      return colors.dim;
    default:
      return colors.cyan;
  }
};

/** Cuts to the width before it is coloured: an escape sequence has no width. */
const cut = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;

const age = (since: string, now: number): string =>
  `${Math.max(0, Math.round((now - Date.parse(since)) / 1_000))} s`;

const gone = (state: ProcessState): boolean => state === 'stopped';
/** What needs looking at comes first; what is well comes last, where it may be cut. */
const ORDER: readonly ProcessState[] = [
  'failed',
  'degraded',
  'stopping',
  'starting',
  'preparing',
  'waiting',
  'ready',
  'stopped',
];

/** The live picture of a job: never wider or higher than the screen. */
export function render(view: JobView, title: string, screen: Screen): string {
  const { columns, rows, colors } = screen;
  const room = Math.max(1, rows - 1);
  const head = [colors.bold(cut(title, columns)), ...overview(view, screen)];
  const processes = [...view.processes.values()].filter((each) => !gone(each.state));
  const left = room - head.length;
  if (left <= 0) return head.slice(0, room).join('\n');
  const lines = processes.length <= left ? list(byNode(processes), screen) : summary(processes, left, screen);
  return [...head, ...lines].slice(0, room).join('\n');
}

function overview(view: JobView, { columns, now }: Screen): string[] {
  const lines: string[] = [];
  const states = counts([...view.agents.values()]);
  lines.push(cut(`agents: ${states || 'none yet'}`, columns));
  const current = [...view.points.entries()].at(-1);
  if (current) {
    const [ordinal, { name, state, since }] = current;
    lines.push(
      cut(`point ${ordinal + 1} of ${view.pointCount} ${name}: ${state} for ${age(since, now)}`, columns),
    );
  }
  if (view.progress) lines.push(cut(`${bar(view.progress, 20)} ${progressText(view.progress)}`, columns));
  return lines;
}

const bar = (
  { requestsDone, requestsTotal }: { requestsDone: number; requestsTotal: number },
  width: number,
): string => {
  const full = requestsTotal > 0 ? Math.round((requestsDone / requestsTotal) * width) : 0;
  return '█'.repeat(full) + '░'.repeat(width - full);
};

const counts = (states: readonly string[]): string => {
  const by = new Map<string, number>();
  for (const state of states) by.set(state, (by.get(state) ?? 0) + 1);
  return [...by].map(([state, count]) => `${count} ${state}`).join(', ');
};

const byNode = (processes: readonly ProcessView[]): ProcessView[] =>
  processes.toSorted(
    (a, b) =>
      a.node.localeCompare(b.node, 'en', { numeric: true }) ||
      a.id.localeCompare(b.id, 'en', { numeric: true }),
  );

function list(processes: readonly ProcessView[], { columns, colors, now }: Screen): string[] {
  const widest = (of: (each: ProcessView) => string) =>
    Math.max(0, ...processes.map((each) => of(each).length));
  const [node, id] = [widest((each) => each.node), widest((each) => each.id)];
  return processes.map((each) => {
    const text = `  ${each.node.padEnd(node)} ${each.id.padEnd(id)} ${each.state.padEnd(9)} ${age(each.since, now).padStart(6)}  ${each.why}`;
    return paint(colors, each.state)(cut(text, columns));
  });
}

/** Counts for each role, then as many of what is not ready as fit. */
function summary(processes: readonly ProcessView[], room: number, screen: Screen): string[] {
  const roles = [...new Set(processes.map((each) => each.role))];
  const lines = roles.map((role) =>
    cut(
      `  ${role}: ${counts(processes.filter((each) => each.role === role).map((each) => each.state))}`,
      screen.columns,
    ),
  );
  const notReady = processes
    .filter((each) => each.state !== 'ready')
    .toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  return [...lines, ...list(notReady.slice(0, Math.max(0, room - lines.length)), screen)];
}
