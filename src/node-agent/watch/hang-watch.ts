import type { ProgressSpec } from '../../messages/spec/process-spec.ts';
import { HangDecision, type Look } from './hang.ts';
import { cpuTicksOf, lookAtCounts, lookAtFiles, lookAtMetrics, readMetrics } from './looks.ts';

const EVERY_MS = 5_000;
const TIMEOUT_MS = 5_000;
/** A program that computes for more than this share of the time is not held for hung, whether or not it prints. */
const IDLE_SHARE = 0.01;
const TICK_MS = 10;

export interface HangWatchOptions {
  readonly progress: ProgressSpec;
  readonly group: number;
  /** An engine's figures, of each look. */
  readonly onMetrics: (values: Record<string, number>) => void;
  /** It hangs; told once. */
  readonly onHung: (says: string) => void;
}

/** Looks at a process every few seconds until it is stopped by the function that it returns. */
export function watchProgress({ progress, group, onMetrics, onHung }: HangWatchOptions): () => void {
  const abort = new AbortController();
  const decision = new HangDecision(progress.hungAfterMs);
  const everyMs = Math.max(Math.min(EVERY_MS, progress.hungAfterMs / 10), 50);
  let ticks: { count: number; at: number } | undefined;
  let timer = setTimeout(() => void look(), everyMs);

  async function look(): Promise<void> {
    const seen = progress.kind === 'metrics' ? await engine(progress) : await program(progress);
    if (abort.signal.aborted) return;
    const says = decision.observe(seen, performance.now());
    if (says !== undefined) return onHung(says);
    timer = setTimeout(() => void look(), everyMs);
  }

  async function engine(spec: Extract<ProgressSpec, { kind: 'metrics' }>): Promise<Look | undefined> {
    const values = await readMetrics(spec, TIMEOUT_MS, abort.signal);
    if (values === undefined || Object.keys(values).length === 0) return undefined;
    onMetrics(values);
    return lookAtMetrics(spec, values);
  }

  /**
   * Its CPU time is read only when its files have not changed for half of the time: that is a walk through /proc. It
   * is judged by what it used from then on.
   */
  async function program(spec: Extract<ProgressSpec, { kind: 'output' }>): Promise<Look | undefined> {
    const counts = spec.counts === undefined ? undefined : await lookAtCounts(spec.counts);
    if (counts) return counts;
    const files = await lookAtFiles(spec);
    const now = performance.now();
    if (decision.stillFor(now, files) < spec.hungAfterMs / 2) {
      ticks = undefined;
      return files;
    }
    const count = await cpuTicksOf(group);
    if (!ticks) {
      ticks = { count, at: now };
      return undefined;
    }
    const works = (count - ticks.count) * TICK_MS > (now - ticks.at) * IDLE_SHARE;
    if (works) ticks = undefined;
    return works ? { ...files, busy: false } : files;
  }

  return () => {
    abort.abort();
    clearTimeout(timer);
  };
}
