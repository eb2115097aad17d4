import { type LogLine, parseLine } from './log-line.ts';
import {
  BEAT_WORK,
  isAccess,
  isAskedToEnd,
  isBeat,
  isHarmless,
  isHint,
  isStopping,
  withoutColours,
  workIn,
} from './noise.ts';
import type { Signature } from './signatures.ts';
import { ofThrown } from './thrown.ts';
import { type Thrown, Tracebacks } from './tracebacks.ts';

/**
 * What a candidate is worth beside others of the same event: `fault` is an exception, or a known error that its program
 * calls an error; `sign` known words in a line without a level; `death` says that a signal ended a part of the program.
 */
export type Worth = 'fault' | 'sign' | 'death' | 'error' | 'echo';

/** A line that may say why a program failed. */
export interface Candidate {
  readonly text: string;
  readonly signature: Signature | null;
  readonly worth: Worth;
  readonly source: string;
  /** How much ordinary work the log tells of before it. */
  readonly work: number;
}

export interface Candidates {
  readonly candidates: readonly Candidate[];
  /** Ordinary work in the whole log. */
  readonly work: number;
  /** The last line that is no access log. */
  readonly last: string | undefined;
}

/** Longest line that is looked at, characters: a line may hold a whole batch. */
const LONGEST = 2_000;
const ERROR =
  /\b(error|fatal|panic(ked)?|exception|failed|failure|cannot|could not|unable to|abort(ed)?|refused)\b/i;
/** An exception that is told without its traceback. */
const NAMED = /\b[A-Z]\w*(?:Error|Exception)\b/;
/** Ends a program whatever the level of the line. */
const FATAL =
  /Segmentation fault|Fatal Python error|terminate called|core dumped|\bpanicked at\b|Bus error|Out of memory: Kill|^\*\*\* .*SIG[A-Z]+|: Assertion [`'].*' failed\./;
/** Rust tells in the next line why it panics. */
const PANIC = /\bpanicked at \S{1,300}:$/;
/** Lines of usage, tables, code, stacks, and commands as a shell shows them (`set -x`). */
const INDENTED = /^\s{2,}\S|^\s*(?:\^|~|[|+]-)|^\+{1,4} /;

type Found = Candidate | { readonly thrown: Thrown; readonly work: number };

/** All lines and exceptions of a log that may say why its program failed, in their order. */
export function candidatesOf(log: string, signatures: readonly Signature[]): Candidates {
  const tracebacks = new Tracebacks();
  const found: Found[] = [];
  let work = 0;
  let last: string | undefined;
  let isPanic = false;
  for (const whole of withoutColours(log).split(/\r?\n/)) {
    const raw = whole.slice(0, LONGEST).trimEnd();
    if (isAccess(raw)) continue;
    if (isAskedToEnd(raw)) break;
    if (isBeat(raw)) {
      work += BEAT_WORK;
      last = raw.trim();
      continue;
    }
    const parsed = parseLine(raw);
    const line = isPanic ? { ...parsed, level: 'error' as const } : parsed;
    isPanic = PANIC.test(raw);
    if (isPanic) continue;
    if (/\w/.test(raw)) last = raw.trim();
    const count = tracebacks.thrown.length;
    const isTaken = tracebacks.take(line);
    const thrown = tracebacks.thrown[count];
    if (thrown) found.push({ thrown, work });
    if (isTaken) continue;
    const candidate = ofLine(line, signatures);
    if (candidate) found.push({ ...candidate, source: line.source, work });
    else work += workIn(line);
  }
  // Judged at the end, because a message and a chain go on after their first line.
  const wrapped = new Set(tracebacks.thrown.map(({ from }) => from));
  const candidates = found.flatMap((each): Candidate[] => {
    if (!('thrown' in each)) return [each];
    const judged = wrapped.has(each.thrown) ? undefined : ofThrown(each.thrown, signatures);
    return judged ? [{ ...judged, source: each.thrown.source, work: each.work }] : [];
  });
  return { candidates, work, last };
}

function ofLine(
  { text, level }: LogLine,
  signatures: readonly Signature[],
): Pick<Candidate, 'text' | 'signature' | 'worth'> | undefined {
  const quiet = level === 'info' || level === 'warn';
  const isCode = level === 'none' && INDENTED.test(text);
  if (isCode || text.trim() === '' || isHint(text) || isStopping(text)) return undefined;
  if (!quiet && isHarmless(text)) return undefined;
  const signature = signatures.find((each) => (!quiet || each.quiet) && each.pattern.test(text));
  const words = text.trim();
  if (signature) {
    const isFault = level === 'error' || FATAL.test(text);
    const worth = signature.kind !== 'origin' ? signature.kind : isFault ? 'fault' : 'sign';
    return { text: words, signature, worth };
  }
  if (quiet) return undefined;
  if (FATAL.test(text)) return { text: words, signature: null, worth: 'fault' };
  const isError = level === 'error' || ERROR.test(text) || NAMED.test(text);
  return isError ? { text: words, signature: null, worth: 'error' } : undefined;
}
