import { isHint, isStop } from './noise.ts';
import type { Signature } from './signatures.ts';
import type { Thrown } from './tracebacks.ts';

interface Judged {
  readonly text: string;
  readonly signature: Signature | null;
  readonly worth: 'fault' | 'echo';
}

/** Follow-up errors of a program's cleanup, which hide the original error. */
const SLIP = /^(?:AttributeError|TypeError|NameError|UnboundLocalError)\b/;
/** pydantic names the key or the rule in the lines after its own. */
const OF_PYDANTIC = /\bValidationError\b/;
const RULE = /^Value error, |^Assertion failed, /;

/**
 * Judges a chain of exceptions. The last one counts, because the earlier ones were handled; an earlier one
 * counts when the last only repeats that something failed, or was raised because of it.
 */
export function ofThrown(thrown: Thrown, signatures: readonly Signature[]): Judged | undefined {
  if (thrown.harmless || isStop(thrown.text)) return undefined;
  const own = judge(thrown, signatures);
  if (own.worth === 'fault' && own.signature) return own;
  const earlier = thrown.from && ofThrown(thrown.from, signatures);
  if (!earlier || earlier.worth === 'echo') return own;
  if (own.worth === 'echo') return earlier;
  const isCaused = thrown.because || SLIP.test(thrown.text);
  return isCaused && earlier.signature ? earlier : own;
}

function judge({ text, more }: Thrown, signatures: readonly Signature[]): Judged {
  const rule = OF_PYDANTIC.test(text)
    ? (more.find((line) => RULE.test(line)) ?? (more[1] === undefined ? undefined : `${more[0]}: ${more[1]}`))
    : undefined;
  const lines = [rule, text, ...more].filter((line) => line !== undefined && !isHint(line)) as string[];
  const matched = lines.map((line) => signatures.find(({ pattern }) => pattern.test(line)));
  const signature = matched.find((each) => each?.kind === 'origin') ?? matched.find((each) => each);
  const isEcho = signature !== undefined && signature.kind !== 'origin';
  return { text: rule ?? text, signature: signature ?? null, worth: isEcho ? 'echo' : 'fault' };
}
