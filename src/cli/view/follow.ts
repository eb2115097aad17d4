import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../messages/bus/bus.ts';
import { heartbeatSchema, progressMessageSchema } from '../../messages/events/control.ts';
import type { SrtEvent } from '../../messages/events/events.ts';
import { subjectsOf } from '../../messages/events/subjects.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import { EXIT } from '../../os/errors.ts';
import { tailOf } from '../../os/log-tail.ts';
import { exitCodeInSlurm, type QueueEntry } from '../../platform/slurm/queue-entry.ts';
import {
  coordinatorOf,
  isOver,
  type JobOnDisk,
  readConnection,
  readEvents,
  readState,
  slurmStateOf,
} from '../jobs/job-dir.ts';
import { JobModel } from '../jobs/job-model.ts';
import { createPrinter } from './printers.ts';

const CONNECT_EVERY_MS = 50;
const LOOK_EVERY_MS = 250;
/** How long to wait for the last event of an ended job on the bus, before the files are read. */
const LAST_WORDS_MS = 300;
/** How long a coordinator in state "finished" may take to write its last events and end. */
const LAST_LINES_MS = 3_000;
const LOG_LINES = 20;

export interface FollowOptions {
  readonly job: JobOnDisk;
  readonly json: boolean;
  /** Lines, also on a terminal. */
  readonly lines?: boolean;
  /** Prints nothing, and resolves with the end. */
  readonly quiet?: boolean;
  /** Resolves when the coordinator has ended (apply knows); without it the function polls. */
  readonly coordinator?: Promise<unknown>;
  readonly out?: NodeJS.WriteStream;
}

/**
 * Shows a job from its first event to its last, live over the bus. When the bus is gone it reads the missing
 * events from events.jsonl, so no event is missing or shown twice. Resolves with the run's exit code, at most
 * a few seconds after the coordinator's end.
 */
export async function followJob(options: FollowOptions): Promise<{ exitCode: number; cause: string | null }> {
  const { job, json, out = process.stdout } = options;
  const model = new JobModel();
  const printer = createPrinter({
    ...{ job, model, out, json, env: process.env },
    ...{ lines: options.lines === true, quiet: options.quiet === true },
  });
  const finished = signal();
  const take = (event: SrtEvent): void => {
    if (!model.take(event)) return;
    printer.event(event);
    if (model.sweep === 'finished') finished.tell();
  };
  const ended = signal();
  const stopLooking = whenEnded(options, ended.tell);
  const bus = await reach(job, ended);
  if (bus) {
    const subjects = subjectsOf(job.jobId);
    bus.subscribe(subjects.pointProgress('*'), progressMessageSchema, ({ message }) => {
      model.takeProgress(message);
      printer.progress(message);
    });
    if (printer.heartbeat)
      bus.subscribe(subjects.heartbeat('*'), heartbeatSchema, ({ message }) => {
        model.takeHeartbeat(message);
        printer.heartbeat?.(message);
      });
    bus.follow(1, take);
    await Promise.race([finished.told, ended.told]);
    await Promise.race([finished.told, sleep(LAST_WORDS_MS)]);
    await bus.close(500);
  }
  // After the last event nothing else follows; apply waits for its coordinator in any case.
  if (options.coordinator || model.sweep !== 'finished') await ended.told;
  stopLooking();
  for (const event of await readEvents(job)) take(event);
  model.exitCode ??= (await readState(job))?.exitCode ?? null;
  if (model.exitCode === null) {
    const inSlurm = job.spec.mode === 'slurm' ? await slurmStateOf(job) : undefined;
    model.cause ??= await deathOf(job, inSlurm);
    model.exitCode = inSlurm ? exitCodeInSlurm(inSlurm) : EXIT.failed;
  }
  printer.end();
  return { exitCode: model.exitCode, cause: model.cause?.summary ?? null };
}

/** The cause of a run whose coordinator died before the end; the end of its log explains it. */
export async function deathOf({ jobDir, jobId }: JobOnDisk, inSlurm: QueueEntry | undefined): Promise<Cause> {
  const { sweepLog: logFile } = jobPaths(jobDir, jobId);
  const text = await tailOf(logFile, LOG_LINES).then(
    (piece) => piece.text.trimEnd(),
    () => '',
  );
  const logTail = text === '' ? [] : text.split('\n');
  const own = logTail.findLast((line) => line.startsWith('srtctl: '))?.slice('srtctl: '.length);
  const summary = own ?? 'the coordinator ended before the run was finished';
  const slurm = inSlurm ? ` (Slurm: ${inSlurm.state}${whyIn(inSlurm)})` : '';
  return { summary: `${summary}${slurm}`, logFile, logTail };
}

const whyIn = ({ reason }: QueueEntry): string => (reason === '' || reason === 'None' ? '' : `, ${reason}`);

interface Signal {
  readonly told: Promise<void>;
  readonly isTold: boolean;
  tell(): void;
}

function signal(): Signal {
  let isTold = false;
  let tell = (): void => {};
  const told = new Promise<void>((resolve) => {
    tell = () => {
      isTold = true;
      resolve();
    };
  });
  return {
    told,
    tell: () => tell(),
    get isTold() {
      return isTold;
    },
  };
}

/** Calls `tell` when the coordinator has ended; the returned function stops watching. */
function whenEnded({ job, coordinator }: FollowOptions, tell: () => void): () => void {
  let stopped = false;
  const stop = (): void => {
    stopped = true;
  };
  if (coordinator) {
    void coordinator.then(tell, tell);
    return stop;
  }
  void (async () => {
    while (!stopped && !(await isOver(job))) await sleep(LOOK_EVERY_MS);
    // A job is "finished" a moment before its last events are in the file.
    const deadline = performance.now() + LAST_LINES_MS;
    while (!stopped && performance.now() < deadline && (await isRunning(job))) await sleep(LOOK_EVERY_MS);
  })().then(tell, tell);
  return stop;
}

/** A coordinator on another node is invisible here; its files are complete when the connection is gone. */
const isRunning = async (job: JobOnDisk): Promise<boolean> =>
  job.spec.mode === 'slurm'
    ? (await readConnection(job)) !== undefined
    : (await coordinatorOf(job)) !== undefined;

/** A connection to the job's bus; undefined when the job ends first. */
async function reach(job: JobOnDisk, ended: Signal): Promise<Bus | undefined> {
  while (!ended.isTold) {
    if (await readConnection(job)) {
      const { connectOperator } = await import('../jobs/operator-bus.ts');
      const connecting = connectOperator(job, 'watch');
      const bus = await Promise.race([connecting, ended.told.then(() => undefined)]);
      if (bus) return bus;
      // Closes a connection that arrives too late.
      if (ended.isTold) void connecting.then((late) => late?.close(0));
    }
    await Promise.race([sleep(CONNECT_EVERY_MS), ended.told]);
  }
  return undefined;
}
