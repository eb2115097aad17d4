import type { PointTransition, ProcessTransition, SrtEvent } from '../../messages/events/events.ts';
import { hasEnded } from '../../messages/spec/states.ts';
import type { Lane, Mark, Span, Timeline } from './report.ts';

const BENCHMARK = 'warm-up and measure';

/** What the states of a point mean to a reader of its timeline. */
const OF_POINTS: Readonly<Record<string, string>> = {
  planned: 'wait for nodes',
  deploying: 'deploy and load',
  warming: 'router and flush',
  benchmarking: BENCHMARK,
  collecting: 'collect',
  cleaning: 'cleanup',
};

/** A lane that is being written: its last state has no end yet. */
class Track {
  readonly lane: Lane & { readonly spans: Span[] };
  #open: { state: string; from: number; why: string } | undefined;

  constructor(kind: Lane['kind'], name: string, node: string | null) {
    this.lane = { kind, name, node, spans: [] };
  }

  enter(state: string | undefined, at: number, why: string): void {
    this.close(at);
    if (state !== undefined) this.#open = { state, from: at, why };
  }

  close(at: number): void {
    if (!this.#open) return;
    this.lane.spans.push({ ...this.#open, to: Math.max(at, this.#open.from) });
    this.#open = undefined;
  }
}

/** The measured windows of a point, by its ordinal: begin and end, ms since 1970. */
export type Windows = ReadonlyMap<number, readonly (readonly [from: number, to: number])[]>;

/**
 * A span of a point's benchmark, cut at its measured windows. Without known windows it stays whole, because nothing
 * says where the warm-up ended.
 */
function cutAt(span: Span, windows: readonly (readonly [from: number, to: number])[]): Span[] {
  const inside = windows
    .map(([from, to]) => [Math.max(from, span.from), Math.min(to, span.to)] as const)
    .filter(([from, to]) => from < to)
    .sort(([a], [b]) => a - b);
  if (span.state !== BENCHMARK || inside.length === 0) return [span];
  const pieces: Span[] = [];
  let at = span.from;
  for (const [from, to] of inside) {
    if (from > at) pieces.push({ ...span, state: 'warm-up', from: at, to: from });
    pieces.push({ ...span, state: 'measure', from: Math.max(from, at), to });
    at = to;
  }
  // After the last known window, what went on is not known: a load that was cut off leaves no window.
  return at < span.to ? [...pieces, { ...span, from: at }] : pieces;
}

/**
 * The events of a job by node and process. Times of agents are corrected by the measured offsets of their clocks.
 * Returns null without events.
 * @param submittedAt ISO 8601
 */
export function timelineOf(
  events: readonly SrtEvent[],
  submittedAt: string | null,
  windows: Windows = new Map(),
): Timeline | null {
  const tracks = new Map<string, Track>();
  const marks: Mark[] = [];
  const timeOf = clockOf(events);
  const track = (kind: Lane['kind'], name: string, node: string | null): Track => {
    const key = JSON.stringify([kind, name, node]);
    const known = tracks.get(key) ?? new Track(kind, name, node);
    tracks.set(key, known);
    return known;
  };
  const job = track('job', 'job', null);
  const submitted = submittedAt === null ? Number.NaN : Date.parse(submittedAt);
  if (Number.isFinite(submitted)) job.enter('queue', submitted, 'submitted');
  let last = Number.NEGATIVE_INFINITY;
  for (const event of events) {
    const at = timeOf(event);
    if (!Number.isFinite(at)) continue;
    last = Math.max(last, at);
    if (event.kind === 'sweep.transition')
      job.enter(event.to === 'finished' ? undefined : event.to, at, event.why);
    else if (event.kind === 'point.transition') takePoint(event, at, track('point', pointName(event), null));
    else if (event.kind === 'process.transition')
      takeProcess(event, at, track('process', event.process, event.node));
    const mark = markOf(event, at);
    if (mark) marks.push(mark);
  }
  if (!Number.isFinite(last)) return null;
  for (const each of tracks.values()) each.close(last);
  const named = new Map(
    events.flatMap((event) => (event.kind === 'point.transition' ? [[pointName(event), event.ordinal]] : [])),
  );
  const lanes = [...tracks.values()]
    .map(({ lane }) => lane)
    .filter(({ spans }) => spans.length > 0)
    .map((lane) => {
      const measured = lane.kind === 'point' ? windows.get(named.get(lane.name) ?? -1) : undefined;
      return measured ? { ...lane, spans: lane.spans.flatMap((span) => cutAt(span, measured)) } : lane;
    });
  const from = lanes.reduce((least, { spans }) => Math.min(least, spans[0]?.from ?? least), last);
  return { from, to: last, lanes: lanes.sort(inOrder), marks };
}

const pointName = ({ ordinal, name }: PointTransition): string => `point ${ordinal} ${name}`.trim();

function takePoint({ to, why }: PointTransition, at: number, track: Track): void {
  track.enter(OF_POINTS[to], at, why);
}

function takeProcess({ to, why, from, role }: ProcessTransition, at: number, track: Track): void {
  if (to === 'failed' && from === 'ready') track.enter(undefined, at, why);
  else track.enter(hasEnded(to) ? undefined : stateName(to, role), at, why);
}

/** What a process in a state does, by its role. */
function stateName(state: string, role: string): string {
  if (state === 'starting' && ['prefill', 'decode', 'agg'].includes(role)) return 'load';
  if (role === 'benchmark' && (state === 'ready' || state === 'starting')) return BENCHMARK;
  if (role === 'step' && (state === 'ready' || state === 'starting')) return 'step';
  return state;
}

/** Job, points, then processes by node, as they began. */
function inOrder(a: Lane, b: Lane): number {
  const kinds = ['job', 'point', 'process'];
  const byKind = kinds.indexOf(a.kind) - kinds.indexOf(b.kind);
  if (byKind !== 0) return byKind;
  const byNode = (a.node ?? '').localeCompare(b.node ?? '', 'en', { numeric: true });
  return byNode !== 0 ? byNode : (a.spans[0]?.from ?? 0) - (b.spans[0]?.from ?? 0);
}

function markOf(event: SrtEvent, at: number): Mark | undefined {
  switch (event.kind) {
    case 'agent.transition':
      if (event.to !== 'lost') return undefined;
      return { at, what: 'agent lost', node: event.node, text: `agent ${event.node} lost: ${event.why}` };
    case 'process.transition':
      if (event.to !== 'failed') return undefined;
      return { at, what: 'process failed', node: event.node, text: `${event.process} failed: ${event.why}` };
    case 'point.transition':
      if (event.to !== 'failed') return undefined;
      return { at, what: 'point failed', node: null, text: `${pointName(event)} failed: ${event.why}` };
    case 'worker.restart':
      if (event.to !== 'starting') return undefined;
      return {
        ...{ at, what: 'worker restart', node: event.node },
        text: `${event.endpoint} restarts (${event.restart} of ${event.most}): ${event.why}`,
      };
    case 'worker.kill':
      return {
        ...{ at, what: 'worker kill', node: event.node },
        text: `${event.endpoint} killed on purpose (${event.signal})`,
      };
    case 'job.warning':
      return { at, what: 'warning', node: null, text: event.text };
    default:
      return undefined;
  }
}

/** The coordinator's time of an event, ms since 1970. */
function clockOf(events: readonly SrtEvent[]): (event: SrtEvent) => number {
  const offsets = new Map(
    events.flatMap((event) => (event.kind === 'clock.offset' ? [[event.of, event.offsetMs] as const] : [])),
  );
  return ({ at, source }) => Date.parse(at) - (offsets.get(source) ?? 0);
}
