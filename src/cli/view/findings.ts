import type { Finding } from '../../doctor/finding.ts';
import { plain } from '../terminal/text.ts';
import type { Colors } from './process-list.ts';

const WHERE_COLUMNS = 24;

/** A table of findings. The advice of a finding is below its line, and the last line has the totals. */
export function findingsText(findings: readonly Finding[], colors: Colors): string {
  const places = findings.map(({ where }) => shortened(where));
  const width = (texts: readonly string[]) => Math.max(0, ...texts.map((text) => text.length));
  const [checkColumns, whereColumns] = [width(findings.map(({ check }) => check)), width(places)];
  const paint = { ok: colors.green, warn: colors.yellow, fail: colors.red };
  const lines = findings.flatMap(({ status, check, text, advice }, index) => [
    `${paint[status](status.padEnd(4))}  ${check.padEnd(checkColumns)}  ${(places[index] ?? '').padEnd(whereColumns)}  ${plain(text)}`,
    ...(advice === null || advice === '' ? [] : [`      → ${plain(advice)}`]),
  ]);
  const count = (status: Finding['status']) => findings.filter((each) => each.status === status).length;
  const total = `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed`;
  return `${[...lines, '', total].join('\n')}\n`;
}

/** The first of many nodes, and the number of the others. */
function shortened(where: string): string {
  if (where.length <= WHERE_COLUMNS) return where;
  const names = where.split(',');
  let shown = 1;
  while (names.slice(0, shown + 1).join(',').length < WHERE_COLUMNS - 4) shown++;
  return shown < names.length ? `${names.slice(0, shown).join(',')} +${names.length - shown}` : where;
}
