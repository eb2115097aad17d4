import type { ProgressMessage } from '../../messages/control.ts';
import type {
  AgentTransition,
  PointTransition,
  ProcessTransition,
  SrtEvent,
  SweepTransition,
} from '../../messages/events.ts';
import type { ProcessRole } from '../../messages/process-spec.ts';
import type { BenchmarkProgress, Cause, PointResult } from '../../messages/result.ts';
import type { AgentState, PointState, ProcessState, SweepState } from '../../messages/states.ts';

export interface ProcessView {
  readonly id: string;
  readonly node: string;
  readonly role: ProcessRole;
  readonly state: ProcessState;
  readonly since: string;
  readonly why: string;
  readonly pid: number | null;
}

/** All that is known of a job from its events, for people and for `--json`. */
export interface JobView {
  readonly sweep: SweepState | null;
  readonly exitCode: number | null;
  readonly cause: Cause | null;
  readonly pointCount: number;
  readonly agents: ReadonlyMap<string, AgentState>;
  readonly processes: ReadonlyMap<string, ProcessView>;
  readonly points: ReadonlyMap<number, { name: string; state: PointState; since: string }>;
  readonly results: readonly PointResult[];
  readonly progress: BenchmarkProgress | null;
  /** Sequence number of the last event of each source: what is not higher was seen before. */
  readonly seen: ReadonlyMap<string, number>;
}

export const emptyView: JobView = {
  sweep: null,
  exitCode: null,
  cause: null,
  pointCount: 0,
  agents: new Map(),
  processes: new Map(),
  points: new Map(),
  results: [],
  progress: null,
  seen: new Map(),
};

const put = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V): Map<K, V> => new Map(map).set(key, value);

/** The view after an event. An event that was seen before changes nothing (the same view is returned). */
export function withEvent(view: JobView, event: SrtEvent): JobView {
  if ((view.seen.get(event.source) ?? 0) >= event.seq) return view;
  const next = { ...view, seen: put(view.seen, event.source, event.seq) };
  switch (event.kind) {
    case 'process.transition':
      return withProcess(next, event);
    case 'agent.transition':
      return withAgent(next, event);
    case 'point.transition':
      return withPoint(next, event);
    case 'sweep.transition':
      return withSweep(next, event);
    case 'point.result':
      return { ...next, results: [...next.results, event.result] };
  }
}

export const withProgress = (view: JobView, message: ProgressMessage): JobView => ({
  ...view,
  progress: message.progress,
});

function withProcess(
  view: JobView,
  { process: id, node, role, to, at, why, pid }: ProcessTransition,
): JobView {
  return { ...view, processes: put(view.processes, id, { id, node, role, state: to, since: at, why, pid }) };
}

const withAgent = (view: JobView, { node, to }: AgentTransition): JobView => ({
  ...view,
  agents: put(view.agents, node, to),
});

function withPoint(view: JobView, { ordinal, name, to, at, cause }: PointTransition): JobView {
  const points = put(view.points, ordinal, { name, state: to, since: at });
  return { ...view, points, progress: null, cause: view.cause ?? cause };
}

const withSweep = (view: JobView, { to, exitCode, cause, points }: SweepTransition): JobView => ({
  ...view,
  sweep: to,
  exitCode,
  cause: cause ?? view.cause,
  pointCount: points,
});
