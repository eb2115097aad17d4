import { createColors } from 'picocolors';
import type { Heartbeat, ProgressMessage } from '../../messages/events/control.ts';
import type { SrtEvent } from '../../messages/events/events.ts';
import type { LoadedVariant } from '../../recipe/variant.ts';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import type { JobModel } from '../jobs/job-model.ts';
import { leftOutOf } from '../jobs/left-out.ts';
import { hasColours, unguarded } from '../terminal/terminal.ts';
import { plain } from '../terminal/text.ts';
import { Frames } from './frames.ts';
import { clock, isClockOff, lineOf, progressText } from './lines.ts';
import { render } from './live.ts';
import { reachLines, servingOf, urlOf } from './reach.ts';
import { summaryOf } from './summary.ts';

const REDRAW_MS = 200;
const SAY_PROGRESS_MS = 5_000;

/**
 * The output while a job is followed: a screen, lines, or JSON. The model has applied each message before.
 */
export interface Printer {
  event(event: SrtEvent): void;
  progress(message: ProgressMessage): void;
  /** Only a screen shows each node's heartbeat. */
  heartbeat?(message: Heartbeat): void;
  end(): void;
}

interface PrinterOptions {
  readonly job: JobOnDisk;
  readonly model: JobModel;
  readonly out: NodeJS.WriteStream;
  readonly json: boolean;
  /** Lines, also on a terminal. */
  readonly lines?: boolean;
  /** Prints nothing. */
  readonly quiet?: boolean;
  readonly env: NodeJS.ProcessEnv;
}

const nothing = (): void => {};

export function createPrinter(options: PrinterOptions): Printer {
  const { out, json, env } = options;
  if (options.quiet) return { event: nothing, progress: nothing, end: nothing };
  if (json) return jsonPrinter(options);
  return out.isTTY && env.TERM !== 'dumb' && !options.lines ? screenPrinter(options) : linePrinter(options);
}

export const colorsFor = (out: { isTTY?: boolean }, env: NodeJS.ProcessEnv) =>
  createColors(hasColours(out, env));

/** The deployment of a point is up; one with a benchmark has no file that says where. */
const isServing = (event: SrtEvent): event is Extract<SrtEvent, { kind: 'point.transition' }> =>
  event.kind === 'point.transition' && event.to === 'benchmarking';

function leftOutText(spec: JobOnDisk['spec']): string {
  const line = leftOutOf(spec);
  return line === undefined ? '' : `${line}\n`;
}

function jsonPrinter({ out, job: { jobId, jobDir, spec }, model }: PrinterOptions): Printer {
  const say = (value: unknown): void => void out.write(`${JSON.stringify(value)}\n`);
  return {
    event(event) {
      say(event);
      const serving = isServing(event) ? servingOf({ jobDir }, event.ordinal) : undefined;
      if (serving) say({ kind: 'serving', jobId, url: urlOf(serving), ...serving });
    },
    progress: ({ at, ordinal, progress }) => say({ kind: 'benchmark.progress', at, ordinal, ...progress }),
    end() {
      const { exitCode, cause, results } = model;
      const leftOut = (spec.variant as Partial<LoadedVariant> | null)?.leftOut;
      say({ kind: 'summary', jobId, jobDir, exitCode, cause, results, ...(leftOut ? { leftOut } : {}) });
    },
  };
}

function linePrinter({ out, env, job, model }: PrinterOptions): Printer {
  const { jobDir, spec } = job;
  let saidAt = Number.NEGATIVE_INFINITY;
  return {
    event(event) {
      // Clocks that agree are not reported.
      if (event.kind !== 'clock.offset' || isClockOff(event)) out.write(`${lineOf(event)}\n`);
      const serving = isServing(event) ? servingOf(job, event.ordinal) : undefined;
      if (serving) out.write(`${reachLines(serving, job).map(plain).join('\n')}\n`);
    },
    progress({ at, progress }) {
      if (performance.now() - saidAt < SAY_PROGRESS_MS) return;
      saidAt = performance.now();
      out.write(`${clock(at)} ${progressText(progress)}\n`);
    },
    end: () => void out.write(`${summaryOf(model, jobDir, colorsFor(out, env))}\n${leftOutText(spec)}`),
  };
}

function screenPrinter({ out, env, job, model }: PrinterOptions): Printer {
  const { jobId, jobDir, spec } = job;
  let at = '';
  const colors = colorsFor(out, env);
  let dirty = true;
  const frames = new Frames(unguarded(out));
  const draw = (): void => {
    const area = { columns: out.columns || 80, rows: out.rows || 24, colors, now: Date.now() };
    frames.draw(render(model, `${spec.name} (${jobId})${at}`, area));
    dirty = false;
  };
  // Ages grow by themselves, so the screen is drawn each second even without events.
  let ticks = 0;
  const timer = setInterval(() => {
    if (dirty || ++ticks % 5 === 0) draw();
  }, REDRAW_MS);
  const change = (): void => {
    dirty = true;
  };
  return {
    event(event) {
      const serving = isServing(event) ? servingOf(job, event.ordinal) : undefined;
      if (serving)
        at = ` serves ${serving.model} at ${urlOf(serving)}/v1; how to reach it: srtctl status ${jobId}`;
      change();
    },
    progress: change,
    heartbeat: change,
    end() {
      clearInterval(timer);
      draw();
      frames.end();
      out.write(`${summaryOf(model, jobDir, colors, out.columns)}\n${leftOutText(spec)}`);
    },
  };
}
