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
 * Rank of a candidate among others of the same event. `fault`: an exception, or a known error that its
 * program logs as an error; `sign`: known words in a line without a level; `death`: a signal ended a part of
 * the program.
 */
export type Worth = 'fault' | 'sign' | 'death' | 'error' | 'echo';

/** A line that may explain why a program failed. */
export interface Candidate {
  readonly text: string;
  readonly signature: Signature | null;
  readonly worth: Worth;
  readonly source: string;
  /** Ordinary work in the log before this line. */
  readonly work: number;
}

export interface Candidates {
  readonly candidates: readonly Candidate[];
  /** Ordinary work in the whole log. */
  readonly work: number;
  /** The last line that is not an access log. */
  readonly last: string | undefined;
}

/** Only this many characters of a line are examined, because a line may hold a whole batch. */
const LONGEST = 2_000;
const ERROR =
  /\b(error|fatal|panic(ked)?|exception|failed|failure|cannot|could not|unable to|abort(ed)?|refused)\b/i;
/** An exception without its traceback. */
const NAMED = /\b[A-Z]\w*(?:Error|Exception)\b/;
/** Ends a program whatever the level of the line. */
const FATAL =
  /Segmentation fault|Fatal Python error|terminate called|core dumped|\bpanicked at\b|Bus error|Out of memory: Kill|^\*\*\* .*SIG[A-Z]+|: Assertion [`'].*' failed\./;
/** Rust writes the reason of a panic in the next line. */
const PANIC = /\bpanicked at \S{1,300}:$/;
/** Lines of usage, tables, code, stacks, and commands as a shell shows them (`set -x`). */
const INDENTED = /^\s{2,}\S|^\s*(?:\^|~|[|+]-)|^\+{1,4} /;

type Found = Candidate | { readonly thrown: Thrown; readonly work: number };

/** All lines and exceptions of a log that may explain why its program failed, in order. */
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
  // Exceptions are judged last, because a message and a chain continue after their first line.
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
