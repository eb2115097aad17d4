import { createColors } from 'picocolors';
import type { Heartbeat, ProgressMessage } from '../../messages/events/control.ts';
import type { SrtEvent } from '../../messages/events/events.ts';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import type { JobModel } from '../jobs/job-model.ts';
import { hasColours, unguarded } from '../terminal/terminal.ts';
import { Frames } from './frames.ts';
import { clock, isClockOff, lineOf, progressText } from './lines.ts';
import { render } from './live.ts';
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
  readonly env: NodeJS.ProcessEnv;
}

export function createPrinter(options: PrinterOptions): Printer {
  const { out, json, env } = options;
  if (json) return jsonPrinter(options);
  return out.isTTY && env.TERM !== 'dumb' ? screenPrinter(options) : linePrinter(options);
}

export const colorsFor = (out: { isTTY?: boolean }, env: NodeJS.ProcessEnv) =>
  createColors(hasColours(out, env));

function jsonPrinter({ out, job: { jobId, jobDir }, model }: PrinterOptions): Printer {
  const say = (value: unknown): void => void out.write(`${JSON.stringify(value)}\n`);
  return {
    event: say,
    progress: ({ at, ordinal, progress }) => say({ kind: 'benchmark.progress', at, ordinal, ...progress }),
    end() {
      const { exitCode, cause, results } = model;
      say({ kind: 'summary', jobId, jobDir, exitCode, cause, results });
    },
  };
}

function linePrinter({ out, env, job: { jobDir }, model }: PrinterOptions): Printer {
  let saidAt = Number.NEGATIVE_INFINITY;
  return {
    event(event) {
      // Clocks that agree are not reported.
      if (event.kind !== 'clock.offset' || isClockOff(event)) out.write(`${lineOf(event)}\n`);
    },
    progress({ at, progress }) {
      if (performance.now() - saidAt < SAY_PROGRESS_MS) return;
      saidAt = performance.now();
      out.write(`${clock(at)} ${progressText(progress)}\n`);
    },
    end: () => void out.write(`${summaryOf(model, jobDir, colorsFor(out, env))}\n`),
  };
}

function screenPrinter({ out, env, job: { jobId, jobDir, spec }, model }: PrinterOptions): Printer {
  const colors = colorsFor(out, env);
  let dirty = true;
  const frames = new Frames(unguarded(out));
  const draw = (): void => {
    const area = { columns: out.columns || 80, rows: out.rows || 24, colors, now: Date.now() };
    frames.draw(render(model, `${spec.name} (${jobId})`, area));
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
    event: change,
    progress: change,
    heartbeat: change,
    end() {
      clearInterval(timer);
      draw();
      frames.end();
      out.write(`${summaryOf(model, jobDir, colors, out.columns)}\n`);
    },
  };
}
