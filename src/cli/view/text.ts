import { stripVTControlCharacters } from 'node:util';

/** Foreign text (a reason, a line of a log) on one line, without sequences that move a terminal's cursor. */
export const plain = (text: string): string =>
  stripVTControlCharacters(text)
    .replaceAll('\t', '  ')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');

/**
 * Characters of two cells: East Asian wide and fullwidth (Unicode TR 11), and pictures, some of which are
 * narrow, so the width is never underestimated.
 */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{1b2ff}\u{1f1e6}-\u{1f1ff}\u{20000}-\u{3fffd}]|\p{Extended_Pictographic}/u;
const NO_WIDTH = /\p{M}/u;

const cells = (char: string): number =>
  char < '\u0300' ? 1 : NO_WIDTH.test(char) ? 0 : WIDE.test(char) ? 2 : 1;

/** Terminal cells of a plain text. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of text) width += cells(char);
  return width;
}

/**
 * A plain text of at most `columns` cells. Cut before it is coloured, because an escape sequence has no
 * width.
 */
export function cut(text: string, columns: number): string {
  const clean = plain(text);
  if (widthOf(clean) <= columns) return clean;
  let width = 0;
  let kept = '';
  for (const char of clean) {
    width += cells(char);
    if (width > columns - 1) break;
    kept += char;
  }
  return columns < 1 ? '' : `${kept}…`;
}

/** Maximum cells of a cause in a table; `srtctl why` and `srtctl status JOB` show all of it. */
export const CAUSE_COLUMNS = 60;
