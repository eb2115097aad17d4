import type { ProgressSpec } from '../../messages/spec/process-spec.ts';
import { HangDecision, type Look } from './hang.ts';
import { cpuTicksOf, lookAtCounts, lookAtFiles, lookAtMetrics, readMetrics } from './looks.ts';

const EVERY_MS = 5_000;
const TIMEOUT_MS = 5_000;
/** A program with a larger CPU share than this does not count as hung, even without output. */
const IDLE_SHARE = 0.01;
const TICK_MS = 10;

export interface HangWatchOptions {
  readonly progress: ProgressSpec;
  readonly group: number;
  /** Called once when the process hangs. */
  readonly onHung: (says: string) => void;
}

/** Checks a process every few seconds until the returned function is called. */
export function watchProgress({ progress, group, onHung }: HangWatchOptions): () => void {
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
    return lookAtMetrics(spec, values);
  }

  /**
   * CPU time requires a walk through /proc, so it is only read when the files have not changed for half of
   * the limit. From then on it is compared.
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
