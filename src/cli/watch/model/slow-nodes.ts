import type { ProcessRole } from '../../../messages/spec/process-spec.ts';
import type { ProcessView } from '../../jobs/job-model.ts';
import { duration, isClockOff } from '../../view/lines.ts';
import type { Engines } from './engine-figures.ts';
import type { Gpus } from './gpus.ts';
import type { JobHistory } from './job-history.ts';

/** Peers are needed to say what is slow. */
const LEAST_PEERS = 3;
/** A worker that takes this many times as long as its peers to become ready is slow to start, if it is by this much. */
const LOADS = { times: 2, byMs: 5_000 } as const;
/** A worker below this share of its peers' tokens per request and second is slow. */
const SHARE = 0.6;
/** A worker with this many times its peers' open requests, and this many more, is slow. */
const PILE = { times: 3, more: 3 } as const;
/** Values that its requests are the mean of: those of about ten seconds. */
const PILE_LOOKS = 10;
/** Values that its speed is the mean of. */
const LOOKS = 4;
/** GPUs that compute for less than this share of the time, in percent, lower their clocks by themselves. */
const BUSY_PERCENT = 50;
/** GPUs with a clock below this share of their peers' are slow: too hot, or short of power. */
const CLOCK_SHARE = 0.85;
/** Without a heartbeat for this many of its intervals, and this long, an agent is silent. */
const SILENT = { beats: 4, ms: 4_000 } as const;

export interface SlowNode {
  readonly node: string;
  readonly why: string;
}

const WORKERS: ReadonlySet<ProcessRole> = new Set(['prefill', 'decode', 'agg']);

/** What is known of a job. */
export interface Job {
  readonly history: JobHistory;
  readonly engines: Engines;
  readonly gpus: Gpus;
}

/**
 * The nodes that keep the job waiting, the worst reason of each: its agent is silent, its workers load much longer or
 * compute much slower than their peers on other nodes, or its GPUs run at a lower clock.
 * @param now ms since 1970
 * @param isLive heartbeats arrive
 */
export function slowNodes({ history, engines, gpus }: Job, now: number, isLive: boolean): SlowNode[] {
  const found = new Map<string, string>();
  const note = (node: string, why: string): void => {
    if (!found.has(node)) found.set(node, why);
  };
  const { clocks, processes } = history.job;
  if (isLive) silentAgents(history, now, note);
  const workers = [...processes.values()].filter(({ role }) => WORKERS.has(role));
  for (const [role, peers] of groupsOf(workers)) {
    slowToCompute(role, peers, engines, note);
    pilesUp(peers, engines, note);
    slowToLoad(role, peers, history, now, note);
  }
  slowClocks(new Set(workers.map(({ node }) => node)), gpus, note);
  for (const [node, clock] of clocks)
    if (isClockOff(clock)) note(node, `its clock is off by ${duration(Math.abs(clock.offsetMs))}`);
  return [...found].map(([node, why]) => ({ node, why }));
}

function groupsOf(workers: readonly ProcessView[]): Map<ProcessRole, ProcessView[]> {
  const groups = new Map<ProcessRole, ProcessView[]>();
  for (const worker of workers) {
    const peers = groups.get(worker.role);
    if (peers) peers.push(worker);
    else groups.set(worker.role, [worker]);
  }
  return groups;
}

type Note = (node: string, why: string) => void;

/** When most agents are silent, the viewer itself was stopped, or the bus. */
function silentAgents({ heardAt, beatMs, job }: JobHistory, now: number, note: Note): void {
  const limit = Math.max(SILENT.ms, SILENT.beats * beatMs);
  const silent = [...heardAt].filter(
    ([node, at]) => now - at > limit && ['joined', 'suspect'].includes(job.agents.get(node) ?? ''),
  );
  if (heardAt.size > 2 && silent.length > heardAt.size / 2) return;
  for (const [node, at] of silent) note(node, `no heartbeat for ${duration(now - at)}`);
}

/** Compares the tokens per second that each request gets. */
function slowToCompute(role: string, peers: readonly ProcessView[], engines: Engines, note: Note): void {
  const speeds = peers.flatMap(({ id, node, state }) => {
    const engine = state === 'ready' || state === 'degraded' ? engines.of(id) : undefined;
    const rates = (role === 'prefill' ? engine?.inputRate : engine?.outputRate)?.slice(-LOOKS) ?? [];
    const running = engine?.running.slice(-LOOKS) ?? [];
    if (rates.length === 0 || running.every((count) => count === 0)) return [];
    return [{ id, node, speed: mean(rates) / Math.max(1, mean(running)) }];
  });
  if (speeds.length < LEAST_PEERS) return;
  const usual = median(speeds.map(({ speed }) => speed));
  for (const { id, node, speed } of speeds.toSorted((a, b) => a.speed - b.speed))
    if (speed < SHARE * usual)
      note(node, `${id} makes ${speed.toFixed(0)} tokens/s for each request, its peers ${usual.toFixed(0)}`);
}

/** Compares the requests that are at each worker: they pile up at a slow one. */
function pilesUp(peers: readonly ProcessView[], engines: Engines, note: Note): void {
  const piles = peers.flatMap(({ id, node, state }) => {
    const engine = state === 'ready' || state === 'degraded' ? engines.of(id) : undefined;
    if (!engine) return [];
    const [open = [], running = [], waiting = []] = [engine.open, engine.running, engine.waiting].map(
      (values) => values.slice(-PILE_LOOKS),
    );
    return [{ id, node, count: Math.max(mean(open), mean(running) + mean(waiting)) }];
  });
  if (piles.length < LEAST_PEERS) return;
  const usual = median(piles.map(({ count }) => count));
  for (const { id, node, count } of piles)
    if (count > PILE.times * usual && count > usual + PILE.more)
      note(node, `${id} has ${count.toFixed(0)} requests, its peers ${usual.toFixed(0)}`);
}

/** Compares the time from a worker's start until it is ready. */
function slowToLoad(
  role: string,
  peers: readonly ProcessView[],
  { pasts }: JobHistory,
  now: number,
  note: Note,
): void {
  const loads = peers.flatMap(({ id, node, state }) => {
    const changes = pasts.get(id)?.changes ?? [];
    const begun = changes.findLast(({ to }) => to === 'starting');
    if (!begun) return [];
    const from = Date.parse(begun.at);
    const ready = changes.findLast(({ to, at }) => to === 'ready' && Date.parse(at) >= from);
    if (!ready && state !== 'starting') return [];
    return [{ id, node, isReady: ready !== undefined, ms: (ready ? Date.parse(ready.at) : now) - from }];
  });
  const done = loads.filter(({ isReady }) => isReady);
  if (done.length < LEAST_PEERS - 1 || loads.length < LEAST_PEERS) return;
  const usual = median(done.map(({ ms }) => ms));
  for (const { id, node, isReady, ms } of loads.toSorted((a, b) => b.ms - a.ms)) {
    if (ms <= LOADS.times * usual || ms - usual < LOADS.byMs) continue;
    const took = isReady ? `took ${duration(ms)} to load` : `has been loading for ${duration(ms)}`;
    note(node, `${id} ${took}, the other ${role} workers ${duration(usual)}`);
  }
}

/** Compares the clocks of GPUs that compute. */
function slowClocks(nodes: ReadonlySet<string>, gpus: Gpus, note: Note): void {
  const clocks = [...nodes].flatMap((node) => {
    const { hertz, utilization = 0 } = gpus.together(node);
    return hertz === undefined || utilization < BUSY_PERCENT ? [] : [{ node, hertz }];
  });
  if (clocks.length < LEAST_PEERS) return;
  const usual = median(clocks.map(({ hertz }) => hertz));
  const mhz = (hertz: number): string => `${(hertz / 1e6).toFixed(0)} MHz`;
  for (const { node, hertz } of clocks)
    if (hertz < CLOCK_SHARE * usual)
      note(node, `its GPUs run at ${mhz(hertz)}, those of the others at ${mhz(usual)}`);
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
