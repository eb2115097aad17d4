import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { readStateFile } from '../../../coordinator/record/state-file.ts';
import type { Bus } from '../../../messages/bus/bus.ts';
import { heartbeatSchema, progressMessageSchema } from '../../../messages/events/control.ts';
import type { SrtEvent } from '../../../messages/events/events.ts';
import { WIRE_VERSION } from '../../../messages/events/events.ts';
import { subjectsOf } from '../../../messages/events/subjects.ts';
import { telemetrySamplesSchema, telemetrySeriesSchema } from '../../../messages/events/telemetry.ts';
import { jobPaths } from '../../../messages/job-directory/files.ts';
import type { Cause } from '../../../messages/job-directory/result.ts';
import { isOver, type JobOnDisk, slurmStateOf } from '../../jobs/job-dir.ts';
import { connectOperator } from '../../jobs/operator-bus.ts';
import { plain } from '../../terminal/text.ts';
import { deathOf } from '../../view/follow.ts';
import { Engines } from '../model/engine-figures.ts';
import { Gpus } from '../model/gpus.ts';
import { JobHistory } from '../model/job-history.ts';
import { slowNodes } from '../model/slow-nodes.ts';
import { TelemetryReader } from '../model/telemetry-reader.ts';
import type { JobScene, Link } from '../views/scene.ts';
import { EventFile } from './event-file.ts';

/** How often files are read while the bus is away, and how often the bus is tried and the end is looked for, ms. */
const FILES_MS = 500;
const LOOK_MS = 1_000;
const TRY_BUS_MS = 2_000;
/** How often slow nodes are looked for: with 8,000 processes it takes some ms. */
const SLOW_MS = 2_000;

/** The telemetry of all nodes of a larger job would take a core; there, only that of nodes whose pages were open is read. */
const MOST_NODES = 64;
const EVERY = '*';

/** What the screen shows of a heartbeat, because a thousand of them arrive in a second. */
const pulseSchema = heartbeatSchema
  .omit({ processes: true })
  .extend({ processes: z.unknown().transform(() => []) });

/**
 * Follows a job while its pages are open: first what its files say, then its bus from there on, and its files again
 * while the bus is away or cannot be reached.
 */
export class LiveJob {
  readonly job: JobOnDisk;
  readonly history = new JobHistory();
  readonly engines = new Engines();
  readonly gpus = new Gpus();
  readonly #telemetry = new TelemetryReader(this.engines, this.gpus);
  /** Nodes whose telemetry is read. */
  readonly #heard = new Set<string>();
  readonly #changed: () => void;
  readonly #events: EventFile;
  readonly #ended = new AbortController();
  #bus: Bus | undefined;
  #link: Link = 'connecting';
  #queue: string | null = null;
  #exitCode: number | null = null;
  /** Why nothing more can be read. */
  #defect: string | null = null;
  #cause: Cause | null = null;
  #slow: { readonly at: number; readonly nodes: JobScene['slow'] } = { at: 0, nodes: [] };
  #reading: Promise<void> = Promise.resolve();

  /** @param changed is called after each change of what the scene shows */
  constructor(job: JobOnDisk, changed: () => void) {
    this.job = job;
    this.#changed = changed;
    this.#events = new EventFile(jobPaths(job.jobDir, job.jobId).events);
    for (const each of [this.#follow(), this.#lookForEnd()])
      each.catch((error: Error) => {
        this.#defect = plain(error.message);
        this.#changed();
      });
  }

  /** @param now ms since 1970 */
  scene(now: number): JobScene {
    if (now - this.#slow.at > SLOW_MS) {
      const nodes = this.#link === 'over' ? [] : slowNodes(this, now, this.#link === 'live');
      this.#slow = { at: now, nodes };
    }
    const { jobId, jobDir, spec } = this.job;
    const { job } = this.history;
    const current = [...job.points.values()].at(-1);
    // The cause of an earlier point's failure is not shown for the current one.
    const own = job.sweep === 'running' && current ? current.cause : job.cause;
    return {
      ...{ jobId, jobDir, name: spec.name, link: this.#link, queue: this.#queue },
      exitCode: job.exitCode ?? this.#exitCode,
      cause: own ?? this.#cause ?? (this.#defect === null ? null : { summary: this.#defect }),
      ...{ history: this.history, engines: this.engines, gpus: this.gpus, slow: this.#slow.nodes },
    };
  }

  /** Its bus; undefined while there is none. */
  get bus(): Bus | undefined {
    return this.#bus;
  }

  /** Reads the telemetry of a node from now on. */
  look(node: string): void {
    const bus = this.#bus;
    if (!bus || this.#heard.has(node) || this.#heard.has(EVERY)) return;
    this.#heard.add(node);
    const subjects = subjectsOf(this.job.jobId);
    bus.subscribe(subjects.telemetrySeries(node), telemetrySeriesSchema, ({ message }) =>
      this.#telemetry.takeSeries(message),
    );
    bus.subscribe(subjects.telemetrySamples(node), telemetrySamplesSchema, ({ message }) => {
      this.#telemetry.takeSamples(message);
      this.#changed();
    });
    const asked = node === EVERY ? this.history.job.agents.keys() : [node];
    for (const each of asked) bus.publish(subjects.telemetryDescribe(each), { v: WIRE_VERSION });
  }

  async close(): Promise<void> {
    this.#ended.abort();
    await this.#bus?.close(0);
  }

  readonly #take = (event: SrtEvent): void => {
    if (this.history.take(event)) this.#changed();
  };

  async #follow(): Promise<void> {
    const { jobDir, jobId } = this.job;
    // Read before the events: they are at least as new.
    const state = await readStateFile(jobPaths(jobDir, jobId).state);
    await this.#readFiles();
    const from = (state?.streamSeq ?? 0) + 1;
    let triedAt = Number.NEGATIVE_INFINITY;
    while (!this.#isClosed) {
      if (!this.#bus && performance.now() - triedAt >= TRY_BUS_MS) {
        triedAt = performance.now();
        void this.#connect(from);
      }
      if (this.#link !== 'live') await this.#readFiles();
      await this.#pause(FILES_MS);
    }
  }

  get #isClosed(): boolean {
    return this.#ended.signal.aborted || this.#link === 'over';
  }

  async #connect(from: number): Promise<void> {
    const bus = await connectOperator(this.job, 'watch');
    if (!bus || this.#isClosed || this.#bus) {
      await bus?.close(0);
      if (!this.#bus) this.#become('files');
      return;
    }
    this.#bus = bus;
    this.#become('live');
    bus.onConnection((connected) => this.#become(connected ? 'live' : 'files'));
    const subjects = subjectsOf(this.job.jobId);
    bus.subscribe(subjects.pointProgress('*'), progressMessageSchema, ({ message }) => {
      this.history.takeProgress(message);
      this.#changed();
    });
    bus.subscribe(subjects.heartbeat('*'), pulseSchema, ({ message }) =>
      this.history.takeHeartbeat(message, Date.now()),
    );
    bus.follow(from, this.#take);
  }

  #become(link: Link): void {
    if (this.#link === 'over' || this.#link === link) return;
    this.#link = link;
    this.#changed();
  }

  /** One reading at a time, because each continues where the last one ended. */
  #readFiles(): Promise<void> {
    this.#reading = this.#reading.then(async () => {
      while (!this.#ended.signal.aborted && (await this.#events.read(this.#take))) this.#changed();
    });
    return this.#reading;
  }

  async #lookForEnd(): Promise<void> {
    const { job } = this;
    while (!this.#isClosed) {
      const isSlurm = job.spec.mode === 'slurm';
      const over = this.history.job.sweep === 'finished' || (await isOver(job).catch(() => false));
      const entry = isSlurm ? await slurmStateOf(job).catch(() => undefined) : undefined;
      this.#queue = entry
        ? [entry.state, entry.reason].filter((text) => !['', 'None'].includes(text)).join(', ')
        : null;
      const { size } = this.history.job.agents;
      if (size > 0 && size <= MOST_NODES) this.look(EVERY);
      if (over) {
        await this.#readFiles();
        const state = await readStateFile(jobPaths(job.jobDir, job.jobId).state);
        this.#exitCode = state?.exitCode ?? null;
        this.#cause = state?.cause ?? null;
        if (this.history.job.sweep !== 'finished') this.#cause ??= await deathOf(job, entry);
        this.#become('over');
        await this.#bus?.close(0);
      }
      this.#changed();
      await this.#pause(LOOK_MS);
    }
  }

  #pause(ms: number): Promise<unknown> {
    return sleep(ms, undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined);
  }
}
