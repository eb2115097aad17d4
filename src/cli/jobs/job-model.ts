import type { Heartbeat, ProgressMessage } from '../../messages/events/control.ts';
import type {
  PointTransition,
  ProcessTransition,
  SrtEvent,
  SweepTransition,
  WorkerRestartEvent,
} from '../../messages/events/events.ts';
import type {
  BenchmarkProgress,
  Cause,
  PointResult,
  SweepProgress,
} from '../../messages/job-directory/result.ts';
import type { Generation } from '../../messages/spec/counters.ts';
import type { ProcessRole } from '../../messages/spec/process-spec.ts';
import {
  type AgentState,
  hasEnded,
  type PointState,
  type ProcessState,
  type SweepState,
} from '../../messages/spec/states.ts';

export interface ProcessView {
  readonly id: string;
  readonly node: string;
  readonly role: ProcessRole;
  readonly state: ProcessState;
  /** Wall clock of the sender, ISO 8601. */
  readonly since: string;
  readonly why: string;
  readonly pid: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly generation: Generation;
}

export interface PointView {
  readonly name: string;
  readonly state: PointState;
  readonly since: string;
  readonly why: string;
  readonly cause: Cause | null;
}

/** The last state that an agent reported about itself. */
export interface PulseView {
  readonly alive: number;
  readonly rssBytes: number;
  readonly malformed: number;
}

/** The complete view of a job, for people and for `--json`. */
export interface JobView {
  readonly sweep: SweepState | null;
  readonly why: string;
  readonly exitCode: number | null;
  readonly cause: Cause | null;
  readonly pointCount: number;
  readonly agents: ReadonlyMap<string, AgentState>;
  readonly processes: ReadonlyMap<string, ProcessView>;
  readonly points: ReadonlyMap<number, PointView>;
  readonly results: readonly PointResult[];
  /** What is wrong with the job although its results count. */
  readonly warnings: readonly string[];
  readonly progress: BenchmarkProgress | null;
  /** Set for a sweep when its first point is over. */
  readonly sweepProgress: SweepProgress | null;
  readonly pulses: ReadonlyMap<string, PulseView>;
}

/**
 * The view of a job, built from its messages. It is changed in place: a late viewer of a job on 1,000 nodes
 * replays some 100,000 events, and a copy for each would take minutes. No clock and no I/O: the same messages
 * make the same view.
 */
export class JobModel implements JobView {
  sweep: SweepState | null = null;
  why = '';
  exitCode: number | null = null;
  cause: Cause | null = null;
  pointCount = 0;
  progress: BenchmarkProgress | null = null;
  sweepProgress: SweepProgress | null = null;
  readonly agents = new Map<string, AgentState>();
  readonly processes = new Map<string, ProcessView>();
  readonly points = new Map<number, PointView>();
  readonly results: PointResult[] = [];
  readonly warnings: string[] = [];
  readonly pulses = new Map<string, PulseView>();
  /** Last measured offset of each node's agent clock from the coordinator's. */
  readonly clocks = new Map<string, { readonly offsetMs: number; readonly errorMs: number }>();
  /** The last restart of each worker. */
  readonly restarts = new Map<string, WorkerRestartEvent>();
  readonly #resultAt = new Map<number, number>();
  /** Number of the last event of each source: the stream and events.jsonl are both in order. */
  readonly #seen = new Map<string, number>();

  /** Applies an event; false when it was applied before. */
  take(event: SrtEvent): boolean {
    if ((this.#seen.get(event.source) ?? 0) >= event.seq) return false;
    this.#seen.set(event.source, event.seq);
    switch (event.kind) {
      case 'process.transition':
        this.#takeProcess(event);
        break;
      case 'agent.transition':
        this.agents.set(event.node, event.to);
        if (event.to === 'lost' || event.to === 'left') this.pulses.delete(event.node);
        break;
      case 'clock.offset':
        this.clocks.set(event.node, { offsetMs: event.offsetMs, errorMs: event.errorMs });
        break;
      case 'point.transition':
        this.#takePoint(event);
        break;
      case 'sweep.transition':
        this.#takeSweep(event);
        break;
      case 'point.result':
        this.#takeResult(event.result);
        break;
      case 'worker.restart':
        this.restarts.set(event.endpoint, event);
        break;
      case 'job.warning':
        this.warnings.push(event.text);
        break;
      case 'sweep.progress':
        this.sweepProgress = event;
        break;
    }
    return true;
  }

  /** Progress of an earlier point may arrive late. */
  takeProgress({ ordinal, progress }: ProgressMessage): void {
    const state = this.points.get(ordinal)?.state;
    if (state === undefined || state === 'benchmarking' || state === 'collecting') this.progress = progress;
  }

  takeHeartbeat({ node, alive, rssBytes, malformed, leaving }: Heartbeat): void {
    if (leaving) this.pulses.delete(node);
    else this.pulses.set(node, { alive, rssBytes, malformed });
  }

  #takeProcess(event: ProcessTransition): void {
    const { process: id, node, role, to, at, why, pid, exitCode, signal, generation } = event;
    // Agents are not synchronised: the end of a process may arrive after its successor's start on another
    // node.
    const known = this.processes.get(id);
    if (known && known.node !== node && known.generation > generation) return;
    this.processes.set(id, { id, node, role, state: to, since: at, why, pid, exitCode, signal, generation });
  }

  #takePoint({ ordinal, name, from, to, at, why, cause }: PointTransition): void {
    // Processes that ended in the previous point are dropped.
    if (from === null) {
      const last = [...this.points.values()].at(-1)?.state;
      // After a failure no process is kept; an agent's event may arrive after the coordinator's.
      const isGone = ({ state, role }: ProcessView): boolean =>
        hasEnded(state) || role === 'benchmark' || (last === 'failed' && state !== 'waiting');
      for (const process of [...this.processes.values()])
        if (isGone(process)) this.processes.delete(process.id);
      // The current point is the last entry of the map, also when it is tried again.
      this.points.delete(ordinal);
    }
    if (to !== 'collecting') this.progress = null;
    this.points.set(ordinal, { name, state: to, since: at, why, cause });
    this.cause ??= cause;
  }

  /** A repeated point has the result of its last attempt. */
  #takeResult(result: PointResult): void {
    const at = this.#resultAt.get(result.ordinal) ?? this.results.length;
    this.#resultAt.set(result.ordinal, at);
    this.results[at] = result;
  }

  #takeSweep({ to, why, exitCode, cause, points }: SweepTransition): void {
    this.sweep = to;
    this.why = why;
    this.exitCode = exitCode;
    // The cause of an attempt that was repeated successfully is not the job's cause.
    this.cause = to === 'finished' ? cause : (cause ?? this.cause);
    this.pointCount = points;
  }
}
