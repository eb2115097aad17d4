import type { LogLine } from './log-line.ts';
import { isHarmless } from './noise.ts';

/** An exception of a Python traceback, and what its message goes on with. */
export interface Thrown {
  readonly text: string;
  /** Further lines of its message. */
  readonly more: string[];
  readonly source: string;
  /** It was thrown while another was handled, or because of another: that one. */
  readonly from: Thrown | undefined;
  /** `from` is its cause, and not only what was handled at that time. */
  readonly because: boolean;
  /** Its own logger says that it is none to care about. */
  readonly harmless: boolean;
}

const TRACEBACK = /Traceback \(most recent call last\)/;
const WHILE = /^\s*During handling of the above exception, another exception occurred:/;
const BECAUSE = /^\s*The above exception was the direct cause of the following exception:/;
/** `ValueError: …`, `queue.Empty`, `ray.exceptions.RayTaskError(ValueError): …`: Python writes it without an indent. */
const EXCEPTION = /^(?:[A-Za-z_]\w*\.){0,8}[A-Za-z_]\w*(?:\([\w., ]{0,80}\))?(?:: .*|:)?$/;
const LONGEST_MESSAGE = 40;

/** A traceback whose exception has not been seen yet. */
type Open = Pick<Thrown, 'source' | 'harmless' | 'from' | 'because'>;

/** Puts the lines of tracebacks together, which several processes may write at the same time into one log. */
export class Tracebacks {
  #open: Open | undefined;
  readonly #opened = new Map<string, Open>();
  /** The last one of each source, whose message or chain may go on. */
  readonly #last = new Map<string, Thrown>();
  readonly #links = new Map<string, { from: Thrown; because: boolean }>();
  #message: Thrown | undefined;
  readonly thrown: Thrown[] = [];

  /** Whether the line is part of a traceback or of the message of an exception. */
  take(line: LogLine): boolean {
    const { text, source, level } = line;
    if (TRACEBACK.test(text)) {
      const harmless = level === 'info' || level === 'warn' || isHarmless(text);
      const { from, because } = this.#links.get(source) ?? { from: undefined, because: false };
      this.#links.delete(source);
      this.#open = { source, harmless: harmless || (from?.harmless ?? false), from, because };
      this.#opened.set(source, this.#open);
      this.#message = undefined;
      return true;
    }
    const open = this.#openFor(source);
    if (open) return this.#inside(open, line);
    if (WHILE.test(text) || BECAUSE.test(text)) {
      const from = this.#last.get(source) ?? this.#message;
      if (from) this.#links.set(source, { from, because: BECAUSE.test(text) });
      this.#message = undefined;
      return true;
    }
    return this.#continues(line);
  }

  /** Lines of code have no prefix in SGLang, whose first line has one. */
  #openFor(source: string): Open | undefined {
    return this.#opened.get(source) ?? (source === '' ? this.#open : this.#opened.get(''));
  }

  #inside(open: Open, { text, level }: LogLine): boolean {
    if (text.trim() === '' || /^\s/.test(text)) return true;
    // Another process's line, between those of this one.
    if (!EXCEPTION.test(text)) return level === 'error' || level === 'none' ? this.#close(open) : false;
    const thrown: Thrown = { ...open, text, more: [] };
    this.thrown.push(thrown);
    this.#last.set(open.source, thrown);
    this.#last.set('', thrown);
    this.#message = thrown;
    this.#close(open);
    return true;
  }

  /** It is over, with its exception or without. */
  #close(open: Open): false {
    this.#opened.delete(open.source);
    if (this.#open === open) this.#open = [...this.#opened.values()].at(-1);
    return false;
  }

  /** A message of several lines: what follows the exception and begins no other line of the log. */
  #continues({ text, source, level, bare }: LogLine): boolean {
    const of = this.#message;
    if (!of || of.more.length >= LONGEST_MESSAGE) return false;
    if (source !== '' && source !== of.source) return false;
    const isOther =
      source === '' && (!bare || level !== 'none' || (of.source !== '' && EXCEPTION.test(text)));
    if (isOther || text.trim() === '') {
      this.#message = undefined;
      return false;
    }
    of.more.push(text.trim());
    return true;
  }
}
