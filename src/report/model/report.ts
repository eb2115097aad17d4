import type { AccuracyResult } from '../../messages/job-directory/accuracy-result.ts';
import type { CacheRecord, Cause, WorkerKill, WorkerRestart } from '../../messages/job-directory/result.ts';
import type { Gpus, ServingResult } from '../../messages/job-directory/serving-result.ts';
import type { Spread } from '../../other-clients/figures.ts';
import type { Difference } from '../../recipe/values/recipe-diff.ts';

export type { Spread };

/** What per-request records say, a value for each completed request; times in ms. */
export interface Requests {
  /** When the measured window began, ms since 1970; null: the file does not say. */
  readonly since: number | null;
  readonly ttftMs: readonly number[];
  /** null: an answer of one token has none. */
  readonly tpotMs: readonly (number | null)[];
  readonly e2elMs: readonly number[];
  readonly outputTokens: readonly number[];
  /** Completed and failed requests in the file; more than the values when they are a sample. */
  readonly completed: number;
  readonly failed: number;
}

/** How a figure on an axis was made: stated by the result, or computed by the report. */
export type Origin = 'result' | 'computed';

/** One point at one concurrency. Rates per second. */
export interface Row {
  /** Unique in its source: `3/8`, the point's ordinal and its place in the list of results. */
  readonly id: string;
  readonly ordinal: number;
  readonly concurrency: number | null;
  /** null = as fast as the concurrency allows. */
  readonly requestRate: number | null;
  readonly valid: boolean;
  /** Why it is not valid, or doubtful. */
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
  readonly requests: number | null;
  readonly failed: number | null;
  readonly durationS: number | null;
  readonly requestThroughput: number | null;
  readonly outputThroughput: number | null;
  readonly totalThroughput: number | null;
  /** Output tokens per second over all GPUs of the deployment. */
  readonly outputPerGpu: number | null;
  readonly outputPerGpuFrom: Origin | null;
  /** Output tokens per second that one user sees, in the median. */
  readonly outputPerUser: number | null;
  readonly outputPerUserFrom: Origin | null;
  readonly gpus: Gpus | null;
  readonly ttftMs: Spread;
  readonly tpotMs: Spread;
  readonly itlMs: Spread;
  readonly e2elMs: Spread;
  readonly requestsFile?: Requests;
  /** The result as it stands in result.json; absent for other tools. */
  readonly result?: ServingResult;
}

export interface Point {
  readonly ordinal: number;
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  /** A point's status for people: `done`, `failed`, `interrupted`, `running`, `not run`, … */
  readonly status: string;
  readonly valid: boolean | null;
  readonly reason: string | null;
  readonly attempt: number;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly cause: Cause | null;
  /** Values of its recipe that are not those of every point, by path. */
  readonly own: Readonly<Record<string, unknown>>;
  readonly caches: readonly CacheRecord[];
  readonly notDone: readonly string[];
  readonly lost: readonly Cause[];
  readonly restarts: readonly WorkerRestart[];
  readonly kills: readonly WorkerKill[];
  /** What evaluations found; absent without one. */
  readonly accuracy?: readonly AccuracyResult[];
  readonly rows: readonly Row[];
}

/** A stretch of time in one state; ms since 1970. */
export interface Span {
  readonly state: string;
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

/** A row of the timeline. */
export interface Lane {
  readonly kind: 'job' | 'point' | 'process';
  readonly name: string;
  /** null: the job's or a point's. */
  readonly node: string | null;
  readonly spans: readonly Span[];
}

/** Something that happened at a moment, ms since 1970. */
export interface Mark {
  readonly at: number;
  readonly what:
    | 'agent lost'
    | 'process failed'
    | 'point failed'
    | 'worker restart'
    | 'worker kill'
    | 'warning';
  readonly node: string | null;
  readonly text: string;
}

export interface Timeline {
  readonly from: number;
  readonly to: number;
  readonly lanes: readonly Lane[];
  readonly marks: readonly Mark[];
}

/** A job, or the results of another tool. */
export interface Source {
  /** Unique in a report. */
  readonly id: string;
  /** Which program measured, with its version where the file states it. */
  readonly tool: string;
  readonly name: string;
  readonly state: string;
  readonly exitCode: number | null;
  readonly submittedAt: string | null;
  readonly tags: readonly string[];
  readonly cause: Cause | null;
  readonly warnings: readonly string[];
  /** What is known of where it ran, as names and values. */
  readonly environment: readonly (readonly [name: string, value: string])[];
  /** The resolved recipe of the first point, without what differs between points; null for other tools. */
  readonly recipe: unknown;
  /** The paths whose values differ between points. */
  readonly varied: readonly string[];
  readonly points: readonly Point[];
  readonly timeline: Timeline | null;
}

export interface Report {
  readonly v: 1;
  /** ISO 8601. */
  readonly madeAt: string;
  readonly srtctl: string;
  readonly sources: readonly Source[];
  /** Of the first source and each later one; absent in a report that compares nothing. */
  readonly comparisons?: readonly Comparison[];
}

/** A figure of two rows that match. */
export interface Delta {
  readonly figure: string;
  readonly before: number | null;
  readonly after: number | null;
  /** Relative change, 0.1 = 10 % more; null without two values, or from zero. */
  readonly change: number | null;
  /** Which direction is better. */
  readonly better: 'higher' | 'lower';
}

export interface Matched {
  readonly label: string;
  /** Ids of the rows; null: the source has no such row. */
  readonly before: string | null;
  readonly after: string | null;
  /** Both are valid. */
  readonly valid: boolean;
  /** What was not the same in how they were measured, so that a change may come from there. */
  readonly notes: readonly string[];
  readonly deltas: readonly Delta[];
}

export interface Comparison {
  readonly before: string;
  readonly after: string;
  readonly rows: readonly Matched[];
  /** What differs in what ran, path by path. */
  readonly recipe: readonly Difference[];
  readonly environment: readonly Difference[];
}
