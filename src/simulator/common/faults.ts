import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CurrentPoint, FaultClock } from './fault-clock.ts';
import { concerns, type Fault, type FaultKind, readFaults } from './fault-schema.ts';

const LOOK_MS = 50;

const [, id = ''] = /([^/]+)\/[^/]+$/.exec(process.env.SRTCTL_PROCESS ?? '') ?? [];
const own = readFaults(process.env.SRTCTL_SIM_FAULTS).filter((fault) => concerns(fault, id));
const clock = new FaultClock(own, performance.now());
const done = new Set<Fault>();

/** Lets a stand-in without faults skip the checks, which cost time. */
export const hasFaults = own.length > 0;

/** The active fault of a kind for this path. */
export function faultOn(kind: FaultKind, path?: string): Fault | undefined {
  return hasFaults ? clock.on(kind, performance.now(), path) : undefined;
}

/** Counts a request for tokens. */
export function countRequest(): void {
  if (!hasFaults) return;
  // The timer may come late on a busy machine, and a request would then count for the point before.
  look();
  clock.requestAt(performance.now());
  act();
}

/** Runs the faults that need no request: once at the start, then as time passes. */
export async function beginFaults(): Promise<void> {
  if (!hasFaults) return;
  look();
  const late = faultOn('late');
  if (late) await sleep(late.delay_ms);
  act();
  setInterval(() => {
    look();
    act();
  }, LOOK_MS).unref();
}

let standsItself = false;

/**
 * For an engine: it accepts requests and computes nothing. In any other stand-in the requests themselves
 * stall.
 */
export const standsStillItself = (): void => {
  standsItself = true;
};
export const requestsStandStill = (path: string): boolean =>
  !standsItself && faultOn('stall', path) !== undefined;

/** Resolves for a process that may become ready, and never for one that a fault keeps from it. */
export const mayBecomeReady = (): Promise<void> =>
  faultOn('never-ready') ? new Promise(() => undefined) : Promise.resolve();

function look(): void {
  if (clock.needsPoint) clock.pointIs(currentPoint(), performance.now());
}

function act(): void {
  const now = performance.now();
  for (const fault of clock.of('die', 'say', 'freeze', 'title', 'children')) {
    const begin = clock.beginOf(fault);
    if (begin === undefined || now < begin) continue;
    if (done.has(fault)) continue;
    done.add(fault);
    doNow(fault);
  }
}

function doNow(fault: Fault): void {
  const { code, signal, says, title, count, for_ms: forMs } = fault;
  switch (fault.do) {
    case 'die':
      if (says !== undefined) process.stderr.write(`${says}\n`);
      if (signal === undefined) process.exit(code);
      process.kill(process.pid, signal as NodeJS.Signals);
      break;
    case 'say':
      process.stderr.write(`${says ?? ''}\n`);
      break;
    case 'freeze':
      if (forMs !== undefined) thaw(forMs);
      process.kill(process.pid, 'SIGSTOP');
      break;
    case 'title':
      process.title = title;
      break;
    case 'children':
      for (let child = 0; child < count; child++) bear(`${title}_TP${child}`);
      break;
    default:
  }
}

/** Continues this process from outside, because a stopped process cannot continue itself. */
function thaw(afterMs: number): void {
  const line = 'sleep "$1"; kill -CONT "$2"';
  const args = ['-c', line, 'thaw', String(afterMs / 1_000), String(process.pid)];
  spawn('/bin/sh', args, { detached: true, stdio: 'ignore' }).unref();
}

/**
 * Starts a process that looks as if it had called setproctitle: in its own session, with no parent of ours,
 * with a title instead of its command line, and with an empty /proc/PID/environ.
 */
function bear(title: string): void {
  const script =
    'require("node:child_process").spawn(process.execPath,["-e","setInterval(()=>{},2**30)"],{argv0:process.argv[1],env:{},detached:true,stdio:"ignore"}).unref()';
  spawn(process.execPath, ['-e', script, title], { detached: true, env: {}, stdio: 'ignore' }).unref();
}

/** The running point, read from the job's directory, which holds this process's log. */
function currentPoint(): CurrentPoint | undefined {
  try {
    const file = join(dirname(dirname(readlinkSync('/proc/self/fd/1'))), 'state.json');
    const { points } = JSON.parse(readFileSync(file, 'utf8')) as {
      points: { ordinal: number; name: string; state: string; status: string | null; attempts?: number }[];
    };
    const current = points.find(({ state, status }) => status === null && state !== 'planned');
    return current && { ordinal: current.ordinal, name: current.name, attempt: current.attempts ?? 1 };
  } catch {
    return undefined;
  }
}
