import type { SweepProgress } from '../../../messages/job-directory/result.ts';
import type { JobHistory } from './job-history.ts';

/** A job in the list of all jobs. */
export interface JobLine {
  readonly jobId: string;
  readonly jobDir: string;
  readonly name: string;
  readonly tags: readonly string[];
  /** Of the sweep, of Slurm's queue before it, or `dead`. */
  readonly state: string;
  readonly isOver: boolean;
  readonly exitCode: number | null;
  /** Why Slurm lets it wait. */
  readonly reason: string;
  readonly points: { readonly all: number; readonly done: number; readonly failed: number };
  /** What its point does now. */
  readonly stage: string;
  readonly workers: readonly RoleCount[];
  /** ISO 8601. */
  readonly submittedAt: string;
  readonly endedAt: string | null;
  readonly progress: SweepProgress | null;
  readonly figures: Figures | null;
  readonly cause: string | null;
}

/** The best of a job's valid results. */
export interface Figures {
  /** Output tokens per second and GPU where the number of GPUs is known, else of the whole deployment. */
  readonly rate: number;
  readonly isPerGpu: boolean;
  /** Median of the same result, ms. */
  readonly ttftMs: number | null;
  readonly itlMs: number | null;
}

export interface RoleCount {
  readonly role: string;
  readonly ready: number;
  readonly failed: number;
  readonly all: number;
}

const WORKERS: readonly string[] = ['prefill', 'decode', 'agg'];

/** The workers of a job by their role. A worker counts as ready when all its processes are. */
export function workerCounts({ job, version }: JobHistory, known = counted): readonly RoleCount[] {
  const before = known.get(job);
  if (before?.version === version) return before.counts;
  const roles = new Map<string, Map<string, { ready: boolean; failed: boolean }>>();
  for (const { id, role, state } of job.processes.values()) {
    if (!WORKERS.includes(role)) continue;
    const endpoints = roles.get(role) ?? new Map<string, { ready: boolean; failed: boolean }>();
    roles.set(role, endpoints);
    const key = id.replace(/-\d+$/, '');
    const worker = endpoints.get(key) ?? { ready: true, failed: false };
    worker.ready &&= state === 'ready';
    worker.failed ||= state === 'failed';
    endpoints.set(key, worker);
  }
  const counts = [...roles]
    .map(([role, endpoints]) => {
      const workers = [...endpoints.values()];
      const count = (of: 'ready' | 'failed') => workers.filter((worker) => worker[of]).length;
      return { role, ready: count('ready'), failed: count('failed'), all: workers.length };
    })
    .toSorted((a, b) => WORKERS.indexOf(a.role) - WORKERS.indexOf(b.role));
  known.set(job, { version, counts });
  return counts;
}

const counted = new WeakMap<object, { readonly version: number; readonly counts: readonly RoleCount[] }>();
