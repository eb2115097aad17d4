import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';

/** Foreign text (a reason, a line of a log) on one line, without sequences that move a terminal's cursor. */
export const plain = (text: string): string =>
  stripVTControlCharacters(text)
    .replaceAll('\t', '  ')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');

/** Terminal cells of a plain text: East Asian wide characters and pictures take two. */
export const widthOf = (text: string): number => stringWidth(text);

/**
 * A plain text of at most `columns` cells, with an ellipsis where it is cut. cli-truncate 5.2 is not used, because it
 * returns five cells for 日本語 in four columns.
 */
export function cut(text: string, columns: number): string {
  const clean = plain(text);
  if (widthOf(clean) <= columns) return clean;
  let kept = '';
  const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  for (const { segment } of graphemes.segment(clean)) {
    if (widthOf(kept + segment) > columns - 1) break;
    kept += segment;
  }
  return columns < 1 ? '' : `${kept}…`;
}

/** Maximum cells of a cause in a table; `srtctl why` and `srtctl status JOB` show all of it. */
export const CAUSE_COLUMNS = 60;
