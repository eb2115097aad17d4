import type { LogLine } from './log-line.ts';
import { isHarmless } from './noise.ts';

/** An exception of a Python traceback, with the rest of its message. */
export interface Thrown {
  readonly text: string;
  /** Further lines of its message. */
  readonly more: string[];
  readonly source: string;
  /** The exception that was being handled, or that caused this one. */
  readonly from: Thrown | undefined;
  /** Whether `from` is its cause (`raise … from`). */
  readonly because: boolean;
  /** Its logger marks it as harmless. */
  readonly harmless: boolean;
}

const TRACEBACK = /Traceback \(most recent call last\)/;
const WHILE = /^\s*During handling of the above exception, another exception occurred:/;
const BECAUSE = /^\s*The above exception was the direct cause of the following exception:/;
/**
 * `ValueError: …`, `queue.Empty`, `ray.exceptions.RayTaskError(ValueError): …`: Python writes it without an
 * indent.
 */
const EXCEPTION = /^(?:[A-Za-z_]\w*\.){0,8}[A-Za-z_]\w*(?:\([\w., ]{0,80}\))?(?:: .*|:)?$/;
const LONGEST_MESSAGE = 40;

/** A traceback whose exception has not been read yet. */
type Open = Pick<Thrown, 'source' | 'harmless' | 'from' | 'because'>;

/** Assembles tracebacks from lines; several processes may write to one log at the same time. */
export class Tracebacks {
  #open: Open | undefined;
  readonly #opened = new Map<string, Open>();
  /** The last exception of each source; its message or chain may continue. */
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

  /** In SGLang only the first line of a traceback has a prefix; lines of code have none. */
  #openFor(source: string): Open | undefined {
    return this.#opened.get(source) ?? (source === '' ? this.#open : this.#opened.get(''));
  }

  #inside(open: Open, { text, level }: LogLine): boolean {
    if (text.trim() === '' || /^\s/.test(text)) return true;
    // A line of another process in between.
    if (!EXCEPTION.test(text)) return level === 'error' || level === 'none' ? this.#close(open) : false;
    const thrown: Thrown = { ...open, text, more: [] };
    this.thrown.push(thrown);
    this.#last.set(open.source, thrown);
    this.#last.set('', thrown);
    this.#message = thrown;
    this.#close(open);
    return true;
  }

  /** Ends the traceback, with or without an exception. */
  #close(open: Open): false {
    this.#opened.delete(open.source);
    if (this.#open === open) this.#open = [...this.#opened.values()].at(-1);
    return false;
  }

  /** A multi-line message: lines after the exception that start no other log line. */
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
