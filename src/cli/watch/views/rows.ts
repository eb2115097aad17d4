import { cut, widthOf } from '../../terminal/text.ts';

/** What a piece of text means; the terminal decides how it looks. */
export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'dim' | 'title' | 'picked';

export interface Span {
  readonly text: string;
  readonly tone?: Tone;
}

/** A line of the screen, from its first column on. */
export type Row = readonly Span[];

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export const span = (text: string, tone?: Tone): Span => (tone === undefined ? { text } : { text, tone });

export const row = (text: string, tone?: Tone): Row => [span(text, tone)];

/** A label of eight cells, and a text. */
export const labelled = (label: string, ...spans: readonly Span[]): Row => [
  span(label.padEnd(9), 'dim'),
  ...spans,
];

/** The row in exactly `columns` cells. */
export function fitted(line: Row, columns: number): Row {
  const fit: Span[] = [];
  let left = columns;
  for (const { text, tone } of line) {
    if (left <= 0) break;
    const shown = cut(text, left);
    fit.push(span(shown, tone));
    left -= widthOf(shown);
  }
  if (left > 0) fit.push(span(' '.repeat(left)));
  return fit;
}

/** A row that the cursor is on. */
export const picked = (line: Row): Row => row(textOf(line), 'picked');

export const textOf = (line: Row): string => line.map(({ text }) => text).join('');

/** A line across the screen with a title in it. */
export const rule = (title: string, columns: number): Row => {
  const shown = cut(title, Math.max(0, columns - 6));
  return row(`── ${shown} ${'─'.repeat(Math.max(0, columns - widthOf(shown) - 4))}`, 'dim');
};

/** A text in pieces of at most `columns` cells, at least one. */
export function pieces(text: string, columns: number): string[] {
  if (widthOf(text) <= columns || columns < 2) return [text];
  const found: string[] = [];
  let piece = '';
  let width = 0;
  for (const character of text) {
    const wide = widthOf(character);
    if (width + wide > columns) {
      found.push(piece);
      [piece, width] = ['', 0];
    }
    piece += character;
    width += wide;
  }
  return [...found, piece];
}

/** A text in lines of at most `columns` cells, cut between words where that is possible. */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (widthOf(longer) <= columns) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    const parts = pieces(word, columns);
    lines.push(...parts.slice(0, -1));
    line = parts.at(-1) ?? '';
  }
  return line === '' ? lines : [...lines, line];
}

/** The first row of a window of `height` rows over `count` that shows `at`, as near to `offset` as possible. */
export function windowOver(count: number, height: number, at: number, offset: number): number {
  const last = Math.max(0, count - height);
  const near = at < offset ? at : at >= offset + height ? at - height + 1 : offset;
  return Math.min(last, Math.max(0, near));
}

const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** The last `width` values as bars; the highest one is the whole height. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const top = Math.max(...shown, 0);
  return shown
    .map((value) => BARS[top > 0 ? Math.min(7, Math.max(0, Math.floor((value / top) * 7.99))) : 0])
    .join('');
}

/** `███████░░░` */
export function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}
