import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { PointEvent, PointOutcome } from '../machines/point.ts';
import { type EventBody, parseEvents, WIRE_VERSION } from '../messages/events.ts';
import type { JobState } from '../messages/job-files.ts';
import type { BenchmarkProgress, Cause } from '../messages/result.ts';
import type { PointState } from '../messages/states.ts';
import type { Subjects } from '../messages/subjects.ts';
import type { PlannedPoint } from '../plan/kinds.ts';
import { explain } from '../why/explain.ts';
import { readSignatures } from '../why/signatures.ts';
import type { Deployment } from './deployment.ts';
import { type PointRun, startPoint } from './point-run.ts';

export interface PointsOptions {
  readonly jobId: string;
  readonly subjects: Subjects;
  readonly eventsFile: string;
  /** The catalogue of known failures. */
  readonly signatures: string;
  readonly pointDir: (ordinal: number, name: string) => string;
  readonly points: () => JobState['points'];
  readonly save: (points: JobState['points']) => void;
  /** Kept events, and what the next message says again. */
  readonly send: (subject: string, body: EventBody) => void;
  readonly publish: (subject: string, message: unknown) => void;
  readonly cleanup: () => Promise<void>;
  readonly log: Logger;
  readonly onDefect: (what: string, error: unknown) => void;
}

/** Runs the points of the job, one at a time, and tells of them. */
export class Points {
  readonly #options: PointsOptions;
  #current: PointRun | undefined;

  constructor(options: PointsOptions) {
    this.#options = options;
  }

  /** To the point that runs, if one does. */
  send(event: PointEvent): void {
    this.#current?.send(event);
  }

  async run(point: PlannedPoint, deployment: Deployment): Promise<PointOutcome> {
    const { jobId, subjects, pointDir, cleanup, send, onDefect } = this.#options;
    const { ordinal, name } = point;
    this.#current = startPoint({
      jobId,
      point,
      pointDir: pointDir(ordinal, name),
      deployment,
      cleanup,
      explain: (told) => this.#explain(ordinal, told),
      onTransition: (from, to, why, cause) => this.#onTransition(point, from, to, why, cause),
      onProgress: (progress) => this.#onProgress(ordinal, progress),
      onResult: (result) => send(subjects.pointResult(ordinal), { kind: 'point.result', ordinal, result }),
      onDefect,
    });
    const outcome = await this.#current.outcome;
    this.#current = undefined;
    return outcome;
  }

  #onTransition(
    { ordinal, name }: PlannedPoint,
    from: PointState | null,
    to: PointState,
    why: string,
    cause: Cause | null,
  ): void {
    const { subjects, send, save, points, log } = this.#options;
    send(subjects.pointTransition(ordinal), {
      kind: 'point.transition',
      ordinal,
      name,
      from,
      to,
      why,
      cause,
    });
    const status = to === 'done' || to === 'failed' || to === 'interrupted' ? to : null;
    save(points().map((entry) => (entry.ordinal === ordinal ? { ...entry, state: to, status } : entry)));
    log.info({ ordinal, from, to, why, cause: cause?.summary }, 'point');
  }

  #onProgress(ordinal: number, progress: BenchmarkProgress): void {
    const { publish, subjects } = this.#options;
    const at = new Date().toISOString();
    publish(subjects.pointProgress(ordinal), { v: WIRE_VERSION, at, ordinal, progress });
  }

  async #explain(ordinal: number, told: Cause): Promise<Cause> {
    const { eventsFile, signatures, onDefect } = this.#options;
    try {
      const text = await readFile(eventsFile, 'utf8');
      return await explain(parseEvents(text), ordinal, told, readSignatures(signatures));
    } catch (error) {
      onDefect('the cause could not be looked into', error);
      return told;
    }
  }
}
