import type { Signature } from './signatures.ts';

/** The line of a log that says what went wrong. */
export interface ErrorLine {
  readonly text: string;
  readonly signature: Signature | null;
  /**
   * How much it explains: `origin` what went wrong, `error` an error that is not in the catalogue, `echo` that somebody
   * else has failed, `last` only the last thing that was said.
   */
  readonly weight: 'origin' | 'error' | 'echo' | 'last';
}

/** Longest line that is looked at, characters: a line may hold a whole batch. */
const LONGEST = 2_000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal
const COLOURS = /\u001b\[[0-9;]*m/g;
const TRACEBACK = /Traceback \(most recent call last\)/;
const EXCEPTION = /^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Timeout)(?:: .*|$)/;
/** One of a log's own words before a message, as in `[2026-01-01 12:00:00 TP0] ` or `(EngineCore pid=12) `. */
const WORDS_BEFORE = /^(?:[^\s[]*\s?\[[^\]]*\]\s*|[\w.() ]{0,80}\bpid=\d+\)\s*)/;
const MOST_WORDS_BEFORE = 8;
const ERROR =
  /\b(error|fatal|panic|exception|failed|failure|cannot|could not|unable to|abort(ed)?|refused)\b/i;
/** An exception that is told without its traceback. */
const NAMED = /\b[A-Z]\w*(?:Error|Exception)\b/;
/** Words that look like an error's and are none. */
const HARMLESS =
  /\b(0|no) (errors?|failed)|error_?(count|rate|code)["']?[=:] ?0\b|"?failed"?[=:] ?0\b|log_?level|warn(ing)?\b|deprecat|ignor(ed|ing)|retry(ing)?\b|will be|falling back|server_args ?[=:]|\b(Server|Engine)Args\(|Namespace\(/i;

/**
 * Picks the line that explains a failure: of what the catalogue knows, an origin before an echo, the first of its kind;
 * else the exception of the first traceback, else the first line with an error in it, else the last one.
 */
export function errorLine(log: string, signatures: readonly Signature[]): ErrorLine | undefined {
  const lines = log
    .replaceAll(COLOURS, '')
    .split(/\r?\n/)
    .map((line) => line.slice(0, LONGEST).trimEnd())
    .filter((line) => line.trim() !== '');
  let echo: ErrorLine | undefined;
  let exception: string | undefined;
  let error: string | undefined;
  let inTraceback = false;
  for (const line of lines) {
    if (TRACEBACK.test(line)) inTraceback = true;
    const thrown = inTraceback ? exceptionIn(line) : undefined;
    if (thrown !== undefined) {
      exception ??= thrown;
      inTraceback = false;
    }
    const isHarmless = thrown === undefined && HARMLESS.test(line);
    if (isHarmless) continue;
    // Lines of code in a traceback say what was tried, not what happened.
    if (
      inTraceback &&
      /^\s*(File "|[\w.]+\(|raise |return |self\.|\^|~|await |with |for |if )/.test(afterPrefix(line))
    )
      continue;
    const signature = signatures.find(({ pattern }) => pattern.test(line));
    if (signature?.kind === 'origin') return { text: line.trim(), signature, weight: 'origin' };
    if (signature && !echo) echo = { text: line.trim(), signature, weight: 'echo' };
    if (signature === undefined && (ERROR.test(line) || NAMED.test(line))) error ??= line.trim();
  }
  const isEcho = (text: string): boolean => signatures.some(({ pattern }) => pattern.test(text));
  if (exception !== undefined && !isEcho(exception))
    return { text: exception, signature: null, weight: 'error' };
  if (echo) return echo;
  if (error !== undefined) return { text: error, signature: null, weight: 'error' };
  const last = lines.at(-1);
  return last === undefined ? undefined : { text: last.trim(), signature: null, weight: 'last' };
}

/**
 * The exception that a line is about. A piece at a time: one expression for all of it takes for ever on a line of many
 * brackets, and a log is written by whoever likes.
 */
function exceptionIn(line: string): string | undefined {
  let rest = line;
  for (let words = 0; words <= MOST_WORDS_BEFORE; words++) {
    const found = EXCEPTION.exec(rest)?.[0];
    if (found !== undefined) return found;
    const before = WORDS_BEFORE.exec(rest)?.[0];
    if (before === undefined) return undefined;
    rest = rest.slice(before.length);
  }
  return undefined;
}

const afterPrefix = (line: string): string => line.replace(/^(?:\S*\s?\[[^\]]*\]\s?|\([^)]*\)\s)*/, '');
