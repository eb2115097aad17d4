import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type CurrentPoint, FaultClock } from './fault-clock.ts';
import { concerns, type Fault, type FaultKind, readFaults } from './fault-schema.ts';

const LOOK_MS = 50;

const [, id = ''] = /([^/]+)\/[^/]+$/.exec(process.env.SRTCTL_PROCESS ?? '') ?? [];
const own = readFaults(process.env.SRTCTL_SIM_FAULTS).filter((fault) => concerns(fault, id));
const clock = new FaultClock(own, performance.now());
const done = new Set<Fault>();

/** A stand-in without faults is not slowed down by looking for them. */
export const hasFaults = own.length > 0;

/** The fault of a kind that is on now, for this path. */
export function faultOn(kind: FaultKind, path?: string): Fault | undefined {
  return hasFaults ? clock.on(kind, performance.now(), path) : undefined;
}

/** A request for tokens has come. */
export function countRequest(): void {
  if (!hasFaults) return;
  clock.requestAt(performance.now());
  act();
}

/** Does what is due of the faults that need no request: once, at the start, and then as time goes by. */
export async function beginFaults(): Promise<void> {
  if (!hasFaults) return;
  look();
  const late = faultOn('late');
  if (late) await new Promise((resolve) => setTimeout(resolve, late.delay_ms));
  act();
  setInterval(() => {
    look();
    act();
  }, LOOK_MS).unref();
}

let standsItself = false;

/** An engine takes requests in and stands still; of all else it is requests that stand still. */
export const standsStillItself = (): void => {
  standsItself = true;
};
export const requestsStandStill = (path: string): boolean =>
  !standsItself && faultOn('stall', path) !== undefined;

/** Resolves for a process that may become ready, and never for one that must not. */
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

/** Who is stopped cannot go on by itself. */
function thaw(afterMs: number): void {
  const line = 'sleep "$1"; kill -CONT "$2"';
  const args = ['-c', line, 'thaw', String(afterMs / 1_000), String(process.pid)];
  spawn('/bin/sh', args, { detached: true, stdio: 'ignore' }).unref();
}

/**
 * A process as setproctitle leaves it, twice removed from us: in a session of its own, a child of nobody, its title in
 * place of its command line, and nothing in /proc/PID/environ.
 */
function bear(title: string): void {
  const script =
    'require("node:child_process").spawn(process.execPath,["-e","setInterval(()=>{},2**30)"],{argv0:process.argv[1],env:{},detached:true,stdio:"ignore"}).unref()';
  spawn(process.execPath, ['-e', script, title], { detached: true, env: {}, stdio: 'ignore' }).unref();
}

/** The point that runs: the job's directory is where our log is. */
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
