import type { Heartbeat, ProgressMessage } from '../../../messages/events/control.ts';
import type { PointTransition, ProcessTransition, SrtEvent } from '../../../messages/events/events.ts';
import type { BenchmarkProgress } from '../../../messages/job-directory/result.ts';
import type { ProcessState } from '../../../messages/spec/states.ts';
import { JobModel } from '../../jobs/job-model.ts';

/** A state of a process, and why it came to it. */
export interface Change {
  readonly at: string;
  readonly to: ProcessState;
  readonly why: string;
}

/** What is known of a process over all of its lives. */
export interface ProcessPast {
  /** Where its log is, and the source of its events: the agent that runs it. */
  readonly source: string;
  readonly node: string;
  readonly logFile: string;
  readonly changes: readonly Change[];
}

/** How much is kept of each, so that a job of 8,000 processes stays small. */
const MOST_CHANGES = 24;
const MOST_EVENTS = 2_000;
const MOST_RATES = 240;
/** Weight of the newest value in a mean of the last ones. */
const NEWEST_SHARE = 0.05;

interface Past extends ProcessPast {
  logFile: string;
  node: string;
  source: string;
  readonly changes: Change[];
}

/** Where a benchmark was at a time, ms since 1970. */
interface Mark {
  readonly at: number;
  readonly progress: BenchmarkProgress;
}

/**
 * A job as its viewers see it: its present state (`job`) and as much of its past as they show. Changed in place, like
 * JobModel, and without clock or I/O.
 */
export class JobHistory {
  readonly job = new JobModel();
  /** Grows whenever a process has changed, so that a sorted list can be kept until then. */
  version = 0;
  /** When the job began and ended, ISO 8601. */
  startedAt: string | null = null;
  endedAt: string | null = null;
  /** The last events, oldest first. */
  readonly events: SrtEvent[] = [];
  readonly pasts: ReadonlyMap<string, ProcessPast>;
  /** Processes of the last point that ended although they were wanted, in the order of their ends. */
  readonly failures: ProcessTransition[] = [];
  /** Output tokens per second of the benchmark that runs, oldest first. */
  readonly rates: number[] = [];
  /** When an agent was last heard, ms since 1970. */
  readonly heardAt: ReadonlyMap<string, number>;
  /** Time from one heartbeat of an agent to its next, ms: the mean of the last ones. The recipe sets it. */
  beatMs = 1_000;
  readonly #pasts = new Map<string, Past>();
  readonly #heardAt = new Map<string, number>();
  /** The first and the last progress of the stage that runs. */
  #stage: { readonly first: Mark; readonly last: Mark } | null = null;

  constructor() {
    this.pasts = this.#pasts;
    this.heardAt = this.#heardAt;
  }

  /** Applies an event; false when it was applied before. */
  take(event: SrtEvent): boolean {
    if (!this.job.take(event)) return false;
    this.events.push(event);
    // Not with each event, because removing the first element moves all others.
    if (this.events.length > 2 * MOST_EVENTS) this.events.splice(0, this.events.length - MOST_EVENTS);
    if (event.kind === 'process.transition') this.#takeProcess(event);
    if (event.kind === 'point.transition') this.#takePoint(event);
    if (event.kind === 'sweep.transition') {
      this.startedAt ??= event.at;
      if (event.to === 'finished') this.endedAt = event.at;
    }
    return true;
  }

  takeProgress(message: ProgressMessage): void {
    this.job.takeProgress(message);
    const { progress } = message;
    if (this.job.progress !== progress) return;
    const mark = { at: Date.parse(message.at), progress };
    const { stage, step } = this.#stage?.first.progress ?? {};
    const first =
      this.#stage && stage === progress.stage && step === progress.step ? this.#stage.first : mark;
    this.#stage = { first, last: mark };
    this.rates.push(progress.outputThroughput);
    if (this.rates.length > MOST_RATES) this.rates.shift();
  }

  /** @param now ms since 1970, on this machine */
  takeHeartbeat(message: Heartbeat, now: number): void {
    this.job.takeHeartbeat(message);
    const before = this.#heardAt.get(message.node);
    if (before !== undefined) this.beatMs += (now - before - this.beatMs) * NEWEST_SHARE;
    this.#heardAt.set(message.node, now);
  }

  /** How long the stage of the benchmark still lasts at its rate so far, ms; null when that cannot be said yet. */
  get stageLeftMs(): number | null {
    if (!this.#stage) return null;
    const { first, last } = this.#stage;
    const done = last.progress.requestsDone - first.progress.requestsDone;
    const left = last.progress.requestsTotal - last.progress.requestsDone;
    if (done <= 0 || left <= 0) return null;
    return ((last.at - first.at) / done) * left;
  }

  #takeProcess(event: ProcessTransition): void {
    this.version++;
    const { process, source, node, logFile, at, to, why } = event;
    const past = this.#pasts.get(process) ?? { source, node, logFile, changes: [] };
    this.#pasts.set(process, past);
    Object.assign(past, { source, node, logFile });
    past.changes.push({ at, to, why });
    if (past.changes.length > MOST_CHANGES) past.changes.shift();
    if (to !== 'failed') return;
    this.failures.push(event);
    if (this.failures.length > MOST_EVENTS) this.failures.shift();
  }

  #takePoint({ from, to }: PointTransition): void {
    this.version++;
    if (from === null) this.failures.length = 0;
    if (to === 'collecting') return;
    this.#stage = null;
    this.rates.length = 0;
  }
}

/** `decode-1` of the process `decode-1-0`. */
export const endpointOf = (process: string): string => process.replace(/-\d+$/, '');
