import type { ProcessRole } from '../messages/process-spec.ts';
import type { ErrorLine } from './error-line.ts';

/** A process of a point that failed, or that may have something to say about it. */
export interface Witness {
  readonly process: string;
  readonly role: ProcessRole;
  readonly node: string;
  readonly logFile: string;
  /** Byte of the log where what it said begins. */
  readonly logFrom?: number | undefined;
  /** When it failed, ms since 1970; null: it was running until it was stopped. */
  readonly failedAt: number | null;
  /** What its agent said of its end. */
  readonly why: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly line: ErrorLine | undefined;
}

/** An agent that was lost: its node died, froze or was cut off. */
export interface LostNode {
  readonly node: string;
  readonly at: number;
  readonly why: string;
}

/** What failed first, and the line that tells of it. */
export interface Diagnosis {
  readonly node: string | null;
  readonly process: string | null;
  readonly role: ProcessRole | null;
  readonly logFile: string | null;
  readonly logFrom?: number | undefined;
  /** What the agent or coordinator saw. */
  readonly why: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly line: ErrorLine | null;
  /** Others that failed with it, in the order of their ends. */
  readonly followed: readonly string[];
}

/** Ends within this time of the first are of one event: who was noticed first is chance, ms. */
const TOGETHER_MS = 1_500;
/** A node's silence is noticed this much later than what it brings down, ms. */
const SILENCE_MS = 20_000;

const weightOf = ({ line, signal }: Witness): number => {
  if (line?.weight === 'origin') return 3;
  if (line?.weight === 'error') return 2;
  // Killed from outside, in the middle of its work: it is nobody's echo.
  if (signal === 'SIGKILL' && line?.weight !== 'echo') return 2;
  return line?.weight === 'echo' ? 0 : 1;
};

/**
 * Finds the first failure in causal order, not the first or last that was heard: of those that ended together the one
 * whose log explains it; when all that ended only say that somebody else was gone, a node that was lost, or a process
 * that was still there and had something to say.
 */
export function diagnose(witnesses: readonly Witness[], lost: readonly LostNode[]): Diagnosis | undefined {
  const failed = witnesses
    .filter((witness): witness is Witness & { failedAt: number } => witness.failedAt !== null)
    .sort((a, b) => a.failedAt - b.failedAt);
  const [first] = failed;
  const [firstLost] = [...lost].sort((a, b) => a.at - b.at);
  if (!first) return firstLost && ofNode(firstLost, failed);
  if (firstLost && firstLost.at <= first.failedAt) return ofNode(firstLost, failed);
  const together = failed.filter(({ failedAt }) => failedAt - first.failedAt <= TOGETHER_MS);
  const best = most(together, weightOf);
  if (weightOf(best) >= 2) return ofWitness(best, failed);
  const silent = firstLost && firstLost.at - first.failedAt <= SILENCE_MS ? firstLost : undefined;
  if (silent) return ofNode(silent, failed);
  const others = witnesses.filter((other) => !together.includes(other as (typeof together)[number]));
  const explains = others.length > 0 ? most(others, weightOf) : undefined;
  if (explains && weightOf(explains) === 3) return ofWitness(explains, failed);
  return ofWitness(best, failed);
}

/** The first of those with the greatest value. */
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
  why: witness.failedAt === null ? 'was still running' : witness.why,
  exitCode: witness.exitCode,
  signal: witness.signal,
  line: witness.line ?? null,
  followed: failed.filter((other) => other !== witness).map(({ process }) => process),
});

const ofNode = ({ node, why }: LostNode, failed: readonly Witness[]): Diagnosis => ({
  node,
  process: null,
  role: null,
  logFile: null,
  why,
  exitCode: null,
  signal: null,
  line: null,
  followed: failed.map(({ process }) => process),
});
