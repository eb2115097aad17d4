import { createColors } from 'picocolors';
import { EXIT, SrtctlError } from '../errors.ts';
import { tailOf } from '../log-tail.ts';
import type { Bus } from '../messages/bus.ts';
import { progressMessageSchema } from '../messages/control.ts';
import type { SrtEvent } from '../messages/events.ts';
import { subjectsOf } from '../messages/subjects.ts';
import { isOver, type JobOnDisk, readConnection, readEvents, readState } from './job-dir.ts';
import { lineOf, progressText } from './view/lines.ts';
import { render } from './view/live.ts';
import { emptyView, type JobView, withEvent, withProgress } from './view/model.ts';
import { summaryOf } from './view/summary.ts';

const REDRAW_MS = 200;
const POLL_MS = 50;
const SAY_PROGRESS_MS = 5_000;
/** How long a job that is over may take to tell its last event over the bus, before the files are read. */
const LAST_WORDS_MS = 300;

export interface FollowOptions {
  readonly job: JobOnDisk;
  readonly json: boolean;
  /** Resolves when the coordinator has ended (apply knows); else it is looked for. */
  readonly coordinator?: Promise<unknown>;
  readonly out?: NodeJS.WriteStream;
}

/** What is printed while a job is followed: a screen, lines, or JSON. */
interface Printer {
  event(event: SrtEvent, view: JobView): void;
  progress(view: JobView): void;
  end(view: JobView): void;
}

/**
 * Shows a job from its first event to its last: live over the bus, and what is missing when the bus is gone from
 * events.jsonl, nothing missing and nothing twice. Resolves with the run's exit code.
 */
export async function followJob(options: FollowOptions): Promise<{ exitCode: number }> {
  const { job } = options;
  const printer = printerFor(options);
  let view = emptyView;
  let finished = (): void => {};
  const isFinished = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const take = (event: SrtEvent): void => {
    const next = withEvent(view, event);
    if (next === view) return;
    view = next;
    printer.event(event, view);
    if (view.sweep === 'finished') finished();
  };
  const ended = whenOver(options);
  const bus = await reach(job, ended.over);
  if (bus) {
    bus.subscribe(subjectsOf(job.jobId).pointProgress('*'), progressMessageSchema, ({ message }) => {
      view = withProgress(view, message);
      printer.progress(view);
    });
    bus.follow(1, take);
    await Promise.race([isFinished, ended.over]);
    await Promise.race([isFinished, sleep(LAST_WORDS_MS)]);
    await bus.close(500);
  }
  // The files are complete when the coordinator has ended.
  await ended.over;
  ended.forget();
  for (const event of await readEvents(job)) take(event);
  printer.end(view);
  return { exitCode: await exitCodeOf(view, job) };
}

async function exitCodeOf(view: JobView, job: JobOnDisk): Promise<number> {
  const state = await readState(job);
  const exitCode = view.exitCode ?? state?.exitCode;
  if (exitCode != null) return exitCode;
  const log = `${job.jobDir}/logs/sweep_${job.jobId}.log`;
  const tail = await tailOf(log, 5).then(
    (piece) => piece.text,
    () => '',
  );
  throw new SrtctlError('coordinator-gone', `the coordinator ended without a word; its log is ${log}`, {
    exitCode: EXIT.failed,
    ...(tail.trim() === '' ? {} : { hint: tail.trim().slice(-500) }),
  });
}

/** Tells when the coordinator has ended. */
function whenOver({ job, coordinator }: FollowOptions): { over: Promise<void>; forget(): void } {
  if (coordinator) return { over: coordinator.then(() => undefined), forget: () => undefined };
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    const look = async (): Promise<void> => {
      if (await isOver(job)) resolve();
      else timer = setTimeout(() => void look(), 500);
    };
    void look();
  });
  return { over, forget: () => clearTimeout(timer) };
}

/** A connection to the job's bus; undefined when the job ends before there is one. */
async function reach(job: JobOnDisk, over: Promise<void>): Promise<Bus | undefined> {
  let isEnd = false;
  void over.then(() => {
    isEnd = true;
  });
  while (!isEnd) {
    const connection = await readConnection(job);
    if (connection) {
      const { connectBus, inboxOf } = await import('../messages/nats-bus.ts');
      const bus = await connectBus({
        url: connection.url,
        seed: connection.operatorSeed,
        job: job.jobId,
        name: 'operator',
        inbox: inboxOf('operator'),
      }).catch(() => undefined);
      if (bus) return bus;
    }
    await sleep(POLL_MS);
  }
  return undefined;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function printerFor(options: FollowOptions): Printer {
  const out = options.out ?? process.stdout;
  if (options.json) return jsonPrinter(out, options.job);
  return out.isTTY ? screenPrinter(out, options.job) : linePrinter(out, options.job);
}

function jsonPrinter(out: NodeJS.WriteStream, { jobId, jobDir }: JobOnDisk): Printer {
  const say = (value: unknown): void => {
    out.write(`${JSON.stringify(value)}\n`);
  };
  return {
    event: (event) => say(event),
    progress: ({ progress }) => say({ kind: 'benchmark.progress', ...progress }),
    end: ({ exitCode, cause, results }) => say({ kind: 'summary', jobId, jobDir, exitCode, cause, results }),
  };
}

function linePrinter(out: NodeJS.WriteStream, { jobDir }: JobOnDisk): Printer {
  let saidAt = 0;
  return {
    event: (event) => out.write(`${lineOf(event)}\n`),
    progress({ progress }) {
      if (!progress || performance.now() - saidAt < SAY_PROGRESS_MS) return;
      saidAt = performance.now();
      out.write(`${new Date().toTimeString().slice(0, 8)} ${progressText(progress)}\n`);
    },
    end: (view) => out.write(`${summaryOf(view, jobDir)}\n`),
  };
}

function screenPrinter(out: NodeJS.WriteStream, { jobId, jobDir, spec }: JobOnDisk): Printer {
  const colors = createColors(!process.env.NO_COLOR);
  let latest = emptyView;
  let dirty = true;
  let update: typeof import('log-update').default | undefined;
  void import('log-update').then((module) => {
    update = module.default;
  });
  const draw = (): void => {
    const screen = { columns: out.columns || 80, rows: out.rows || 24, colors, now: Date.now() };
    update?.(render(latest, `${spec.name} (${jobId})`, screen));
    dirty = false;
  };
  // Ages grow by themselves: the screen is drawn again each second also when nothing happened.
  let ticks = 0;
  const timer = setInterval(() => {
    if (dirty || ++ticks % 5 === 0) draw();
  }, REDRAW_MS);
  const change = (view: JobView): void => {
    latest = view;
    dirty = true;
  };
  return {
    event: (_, view) => change(view),
    progress: change,
    end(view) {
      clearInterval(timer);
      latest = view;
      draw();
      update?.done();
      out.write(`${summaryOf(view, jobDir)}\n`);
    },
  };
}
