import { cut, widthOf } from '../../terminal/text.ts';
import { fitted, picked, type Row, type Size, type Span, span, windowOver } from './rows.ts';

export interface Column<T> {
  readonly title: string;
  cell(item: T): Span;
  /** Most cells; default: as many as its widest visible cell needs. */
  readonly most?: number;
  /** A narrow screen first leaves out the columns with the highest number; 0 is always there. */
  readonly rank: number;
  readonly right?: boolean;
}

export interface Place {
  /** The item under the cursor; -1 when there is none. */
  readonly at: number;
  /** The first item on the screen. */
  readonly offset: number;
}

/**
 * A table of `size`: a head, and a window of the items. Costs as much as the visible rows, however many items there are.
 */
export function table<T>(
  items: readonly T[],
  columns: readonly Column<T>[],
  place: Place,
  size: Size,
): { readonly rows: Row[]; readonly offset: number } {
  if (size.rows <= 0) return { rows: [], offset: 0 };
  const height = size.rows - 1;
  const offset = windowOver(items.length, height, Math.max(0, place.at), place.offset);
  const visible = items.slice(offset, offset + height);
  const cells = visible.map((item) => columns.map((column) => column.cell(item)));
  const widths = columns.map(({ title, most = 200 }, index) =>
    Math.min(
      most,
      cells.reduce((width, line) => Math.max(width, widthOf(line[index]?.text ?? '')), title.length),
    ),
  );
  const isBlank = (index: number): boolean => cells.every((line) => (line[index]?.text ?? '') === '');
  // Columns without a value are left out where that is no news.
  const used = columns.map(({ rank }, index) => rank === 0 || !isBlank(index));
  const shown = chosen(columns, widths, used, size.columns);
  const line = (of: readonly Span[]): Row =>
    shown.flatMap(({ index, width }, at) => {
      const { text, tone } = of[index] ?? span('');
      const kept = cut(text, width);
      const blank = ' '.repeat(Math.max(0, width - widthOf(kept)));
      const gap = at === shown.length - 1 ? '' : '  ';
      return [span(columns[index]?.right ? `${blank}${kept}${gap}` : `${kept}${blank}${gap}`, tone)];
    });
  const head = line(columns.map(({ title }) => span(title, 'dim')));
  const body = cells.map((of, index) => {
    const whole = fitted(line(of), size.columns);
    return offset + index === place.at ? picked(whole) : whole;
  });
  return { rows: [fitted(head, size.columns), ...body], offset };
}

/** The columns that fit side by side; the last one gets what is left. */
function chosen<T>(
  columns: readonly Column<T>[],
  widths: readonly number[],
  used: readonly boolean[],
  room: number,
): { readonly index: number; readonly width: number }[] {
  let kept = columns
    .map((_, index) => ({ index, width: widths[index] ?? 0 }))
    .filter(({ index }) => used[index]);
  /** The last column may be cut to this. */
  const least = 8;
  const needed = (): number =>
    kept.reduce(
      (sum, { width }, at) => sum + (at === kept.length - 1 ? Math.min(width, least) : width) + 2,
      0,
    );
  while (needed() > room + 2 && kept.length > 1) {
    const rank = Math.max(...kept.map(({ index }) => columns[index]?.rank ?? 0));
    if (rank === 0) break;
    kept = kept.filter(({ index }) => (columns[index]?.rank ?? 0) < rank);
  }
  const before = kept.slice(0, -1).reduce((sum, { width }) => sum + width + 2, 0);
  return kept.map((column, at) =>
    at === kept.length - 1 ? { ...column, width: Math.max(0, room - before) } : column,
  );
}
