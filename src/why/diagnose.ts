import type { ProcessRole } from '../messages/spec/process-spec.ts';
import type { ErrorLine } from './error-line.ts';

/** A process whose end or log may explain why a point failed. */
export interface Witness {
  readonly process: string;
  readonly role: ProcessRole;
  /** null: unknown. */
  readonly node: string | null;
  readonly logFile: string;
  /** Byte range in the log file that this process wrote. */
  readonly logFrom?: number | undefined;
  readonly logTo?: number | undefined;
  /**
   * When its failure was noticed by the job's clock (timeline.ts), ms since 1970; null: it ran until it was
   * stopped.
   */
  readonly failedAt: number | null;
  /** The agent's reason for its end. */
  readonly why: string;
  /** Set when it stayed degraded until its end: since when, and the agent's reason. */
  readonly unwell?: { readonly at: number; readonly why: string } | undefined;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly line: ErrorLine | undefined;
}

/** A lost agent: its node died, froze or was cut off. */
export interface LostNode {
  readonly node: string;
  /** When its silence was noticed, ms since 1970; null: while no coordinator was there. */
  readonly at: number | null;
  readonly why: string;
  /** false: it was silent when the point ended, and the coordinator did not wait for it to return. */
  readonly certain: boolean;
}

/** The first failure, and the log line that explains it. */
export interface Diagnosis {
  readonly node: string | null;
  readonly process: string | null;
  readonly role: Witness['role'] | null;
  readonly logFile: string | null;
  readonly logFrom?: number | undefined;
  readonly logTo?: number | undefined;
  /** What the agent or coordinator observed. */
  readonly why: string;
  /** Whether the process ended; false: a process that ended only named it. */
  readonly failed: boolean;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly line: ErrorLine | null;
  /** Other processes that failed with it, in the order of their ends. */
  readonly followed: readonly string[];
}

/**
 * Ends within this time of the first belong to one event, ms: the order in which they were noticed is chance.
 */
const TOGETHER_MS = 1_500;
/** A node's silence is noticed this much later than the failures that it causes, ms. */
const SILENCE_MS = 20_000;
/** A router or frontend that counts its workers, as in `0 of 1 agg workers`. */
const COUNT = /\b\d+ of \d+ [\w ]{0,40}\bworkers?\b/;

/** These processes only observe what the workers do. */
const isOnlooker = ({ role }: Witness): boolean =>
  role === 'frontend' || role === 'nginx' || role === 'benchmark';

const countsWorkers = (witness: Witness): boolean => isOnlooker(witness) && COUNT.test(witness.why);

/** A benchmark whose requests are not answered, although the process that should answer says nothing of it. */
const waits = ({ role, why }: Witness): boolean =>
  role === 'benchmark' && /^hung: \d+ requests? in flight/.test(why);

const weightOf = (witness: Witness): number => {
  const { line, signal } = witness;
  if (line?.weight === 'origin') return 3;
  if (countsWorkers(witness)) return 0;
  if (line?.weight === 'error') return isOnlooker(witness) ? 1 : 2;
  // An outside kill in the middle of its work is no consequence of another failure.
  if (signal === 'SIGKILL' && witness.failedAt !== null && line?.weight !== 'echo') return 2;
  return line?.weight === 'echo' ? 0 : 1;
};

/**
 * Finds the first failure in causal order, not the first or last that was noticed. Among processes that ended
 * together it is the one whose log explains the end. When all of them only report that another process was
 * gone, it is a lost node, or a running process that logged an error or did not answer.
 */
export function diagnose(witnesses: readonly Witness[], lost: readonly LostNode[]): Diagnosis | undefined {
  const failed = witnesses
    .filter((witness): witness is Witness & { failedAt: number } => witness.failedAt !== null)
    .sort((a, b) => a.failedAt - b.failedAt);
  const [first] = failed;
  const [firstLost] = [...lost].sort(
    (a, b) => Number(b.certain) - Number(a.certain) || (a.at ?? Infinity) - (b.at ?? Infinity),
  );
  if (!first) return firstLost?.certain ? ofNode(firstLost, failed) : undefined;
  if (firstLost?.certain && firstLost.at !== null && firstLost.at <= first.failedAt)
    return ofNode(firstLost, failed);
  const together = failed.filter(({ failedAt }) => failedAt - first.failedAt <= TOGETHER_MS);
  const best = most(together, weightOf);
  if (weightOf(best) >= 2) return ofWitness(best, failed);
  const isNear = firstLost && (firstLost.at === null || firstLost.at - first.failedAt <= SILENCE_MS);
  const silent = isNear ? firstLost : undefined;
  if (silent) return ofNode(silent, failed);
  const others = witnesses.filter((other) => !together.includes(other as (typeof together)[number]));
  const explains = others.length > 0 ? most(others, weightOf) : undefined;
  if (explains && weightOf(explains) === 3) return ofWitness(explains, failed);
  const missing = isOnlooker(best) ? missingFrom(best, witnesses) : undefined;
  return ofWitness(missing ?? best, failed);
}

/** The worker that did not answer a router, a frontend or a benchmark. */
function missingFrom(onlooker: Witness, witnesses: readonly Witness[]): Witness | undefined {
  const workers = witnesses.filter(({ role }) => role === 'agg' || role === 'prefill' || role === 'decode');
  const [unwell] = workers
    .filter((worker) => worker.unwell !== undefined)
    .sort((a, b) => (a.unwell?.at ?? 0) - (b.unwell?.at ?? 0));
  if (unwell) return { ...unwell, why: unwell.unwell?.why ?? unwell.why };
  const isUnwell = witnesses.some((other) => other !== onlooker && other.unwell !== undefined);
  if (!countsWorkers(onlooker) && (!waits(onlooker) || isUnwell)) return undefined;
  const named = workers.filter(({ process }) => onlooker.why.includes(process));
  const [only, ...more] = named.length > 0 ? named : workers;
  return only && more.length === 0
    ? {
        ...only,
        why: `${onlooker.process} ${waits(onlooker) ? 'waits for' : 'does not find'} it: ${onlooker.why}`,
      }
    : undefined;
}

/** The first element with the greatest value. */
function most<T>(all: readonly T[], value: (each: T) => number): T {
  const [first, ...rest] = all;
  if (first === undefined) throw new TypeError('none to choose from');
  return rest.reduce((best, each) => (value(each) > value(best) ? each : best), first);
}

const ofWitness = (witness: Witness, failed: readonly Witness[]): Diagnosis => ({
  node: witness.node,
  process: witness.process,
  role: witness.role,
  logFile: witness.logFile,
  logFrom: witness.logFrom,
  logTo: witness.logTo,
  why: witness.why,
  failed: witness.failedAt !== null,
  exitCode: witness.exitCode,
  signal: witness.signal,
  line: witness.line ?? null,
  followed: failed.filter(({ process }) => process !== witness.process).map(({ process }) => process),
});

const ofNode = ({ node, why }: LostNode, failed: readonly Witness[]): Diagnosis => ({
  node,
  process: null,
  role: null,
  logFile: null,
  why,
  failed: true,
  exitCode: null,
  signal: null,
  line: null,
  followed: failed.map(({ process }) => process),
});
