import type { PointTransition, SrtEvent, SweepTransition } from '../../messages/events/events.ts';
import type { PointResult } from '../../messages/job-directory/result.ts';
import { EXIT } from '../../os/errors.ts';
import type { ReportedJob } from '../common/job.ts';
import type { JobCreate, JobStatus, JobUpdate } from './contract.ts';

/** Points whose figures a report has; those of a large sweep are in results.jsonl. */
const MOST_POINTS = 100;
/** Characters of a message: a cause may quote a long line of a log. */
const MOST_CHARS = 500;

export function jobCreate({ spec, cluster, file }: ReportedJob, id: string): JobCreate {
  return {
    job_id: id,
    job_name: spec.name,
    submitted_at: spec.submittedAt,
    ...(cluster === undefined ? {} : { cluster }),
    recipe: file,
    metadata: { tags: spec.tags, srtctl: { job: spec.jobId, directory: spec.jobDir, mode: spec.mode } },
  };
}

/**
 * The updates of a job's status, from its events. The status says what the job does now: a sweep comes back to `workers`
 * with each point.
 */
export class Lifecycle {
  readonly #job: ReportedJob;
  readonly #results = new Map<number, PointResult>();
  #status: JobStatus = 'submitted';
  #points = 1;
  #last: JobUpdate | undefined;

  constructor(job: ReportedJob) {
    this.#job = job;
  }

  /** The newest update; a collector that knows it knows the job's state. */
  get last(): JobUpdate | undefined {
    return this.#last;
  }

  /** The update that follows from an event; undefined when the event changes no status. */
  take(event: SrtEvent): JobUpdate | undefined {
    const update = this.#updateOf(event);
    if (update) this.#last = update;
    return update;
  }

  /** The last update once more, with the place of the uploaded files. */
  uploaded(url: string, at: string): JobUpdate {
    return {
      ...(this.#last ?? { status: this.#status }),
      updated_at: at,
      logs_url: url,
    };
  }

  #updateOf(event: SrtEvent): JobUpdate | undefined {
    if (event.kind === 'sweep.transition') return this.#sweep(event);
    if (event.kind === 'point.transition') return this.#point(event);
    if (event.kind !== 'point.result') return undefined;
    const { ordinal, result } = event;
    this.#results.set(ordinal, result);
    const done = this.#results.size;
    const failed = [...this.#results.values()].filter(({ status }) => status !== 'done').length;
    return {
      ...this.#now('benchmark', event.at, `${nameOf(result.name, ordinal)}: ${result.status}`),
      metadata: { progress: { points: this.#points, done, failed } },
    };
  }

  #sweep({ to, at, why, points, exitCode, cause }: SweepTransition): JobUpdate | undefined {
    this.#points = Math.max(1, points);
    // A job starts once; after that, another coordinator has taken over.
    if (to === 'booting' && this.#status !== 'submitted')
      return this.#now(this.#status, at, 'Another coordinator has taken over');
    if (to === 'booting')
      return {
        ...this.#now('starting', at, `Job started on ${this.#job.head ?? 'its nodes'}`),
        started_at: at,
        metadata: startOf(this.#job),
      };
    if (to !== 'finished') return undefined;
    const status = exitCode === EXIT.ok ? 'completed' : exitCode === EXIT.outOfTime ? 'timeout' : 'failed';
    this.#status = status;
    return {
      status,
      stage: 'cleanup',
      message: short(cause?.summary ?? (exitCode === EXIT.ok ? 'Benchmark completed successfully' : why)),
      updated_at: at,
      completed_at: at,
      ...(exitCode === null ? {} : { exit_code: exitCode }),
      benchmark_results: { points: [...this.#results.values()].slice(0, MOST_POINTS).map(figuresOf) },
    };
  }

  #point({ ordinal, name, to, at, why }: PointTransition): JobUpdate | undefined {
    const status = ({ deploying: 'workers', warming: 'frontend', benchmarking: 'benchmark' } as const)[
      to as string
    ];
    return status && this.#now(status, at, `${nameOf(name, ordinal)}: ${why}`);
  }

  #now(status: JobStatus, at: string, message: string): JobUpdate {
    this.#status = status;
    return { status, stage: status, message: short(message), updated_at: at };
  }
}

const nameOf = (name: string, ordinal: number): string => `point ${ordinal} ${name}`.trim();

const short = (text: string): string =>
  text.length > MOST_CHARS ? `${text.slice(0, MOST_CHARS - 1)}…` : text;

/** The metadata that srt-slurm's reporter sends when a job starts (core/status.py). */
const startOf = ({ head, recipe }: ReportedJob): Record<string, unknown> => ({
  model: { path: recipe.model.path, precision: recipe.model.precision },
  resources: recipe.resources,
  benchmark: { type: recipe.benchmark?.type },
  backend_type: recipe.backend?.type,
  frontend_type: recipe.frontend?.type,
  ...(head === undefined ? {} : { head_node: head }),
});

/** A point's figures by concurrency. */
export const figuresOf = (result: PointResult): Record<string, unknown> => ({
  ordinal: result.ordinal,
  name: result.name,
  params: result.params,
  status: result.status,
  valid: result.benchmark?.valid ?? null,
  serving: (result.benchmark?.serving ?? []).map((figures) => ({
    concurrency: figures.concurrency,
    request_throughput: figures.requestThroughput,
    output_throughput: figures.outputThroughput,
    total_throughput: figures.totalThroughput,
    mean_ttft_ms: figures.ttftMs.mean,
    p99_ttft_ms: figures.ttftMs.p99,
    mean_tpot_ms: figures.tpotMs.mean,
    mean_e2el_ms: figures.e2elMs.mean,
  })),
  ...(result.benchmark?.accuracy?.length
    ? {
        accuracy: result.benchmark.accuracy.map(({ task, metric, score, stderr, samples }) => ({
          ...{ task, metric, score, stderr, samples },
        })),
      }
    : {}),
});
